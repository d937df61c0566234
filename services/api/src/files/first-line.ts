import { LIMITS, LineSplitter, NO_ARRAY, noJsonReason, readingJson, runAtOnce } from '@spillway/core';
import { foreignEncoding, HEAD_BYTES } from './encoding.ts';

/**
 * Many uploads may be under way at once, and each holds its first line as long as that does not end; what is longer is not
 * parsed here, as that would hold up all the others.
 */
const MAX_LOOKED_AT_BYTES = 256 * 1024;

/**
 * Looks at the first bytes of an upload, and at its first line that is not blank, while the bytes pass. A file that
 * is no JSON there is refused at once, and told why; whatever else is wrong with it, the batch reports with line numbers.
 */
export class FirstLine {
  readonly #splitter = new LineSplitter(MAX_LOOKED_AT_BYTES);
  /** The first bytes, until there are enough to know the encoding: no line of them is judged before that. */
  #head: Buffer | null = Buffer.alloc(0);
  #isSeen = false;

  /** Why the file is refused; null: nothing speaks against it yet. */
  push(chunk: Uint8Array): string | null {
    if (this.#isSeen) return null;
    if (this.#head === null) return this.#judge(this.#splitter.push(chunk));
    const head = Buffer.concat([this.#head, chunk]);
    this.#head = head.length < HEAD_BYTES ? head : null;
    return this.#head === null ? this.#begin(head) : null;
  }

  /** The same for the whole file. One of blank lines is for the batch to refuse. */
  end(): string | null {
    if (this.#isSeen) return null;
    if (this.#head?.length === 0) return 'The file is empty.';
    return (this.#head === null ? null : this.#begin(this.#head)) ?? this.#judge(this.#splitter.end());
  }

  #begin(head: Buffer): string | null {
    const encoding = foreignEncoding(head);
    if (encoding !== null) return `The file is ${encoding}, and must be plain text in UTF-8.`;
    return this.#judge(this.#splitter.push(head));
  }

  #judge(lines: Iterable<{ readonly bytes: Buffer; readonly tooLong: boolean }>): string | null {
    for (const { bytes, tooLong } of lines) {
      const text = bytes.toString('utf8').trim();
      if (text === '') continue;
      this.#isSeen = true;
      if (text.startsWith('[')) return NO_ARRAY;
      return tooLong ? null : lineReason(text);
    }
    return null;
  }
}

/** So little of a file may be parsed at once: more than that is left to the batch, which reads every line in slices. */
const MAX_PARSED_CHARACTERS = 64 * 1024;
/** JSON that is longer than that is an object or a text; a list was seen before. */
const MAY_BE_LONG = /^[{"]/;
const LINE_LIMITS = { depth: LIMITS.jsonDepth, values: LIMITS.jsonValues };

function lineReason(text: string): string | null {
  if (text.length > MAX_PARSED_CHARACTERS && MAY_BE_LONG.test(text)) return null;
  const begin = text.slice(0, MAX_PARSED_CHARACTERS);
  if (runAtOnce(readingJson(begin, LINE_LIMITS)).kind !== 'no_json') return null;
  const reason = runAtOnce(noJsonReason(begin));
  if (text.startsWith('{')) return reason ?? 'Its first line is not a whole JSON object, as each line must be.';
  return reason ?? 'Its first line is not JSON.';
}
