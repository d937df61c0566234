import { LineSplitter } from '@spillway/core';

/** Many uploads may be under way at once, and each holds its first line as long as that does not end. */
const MAX_LOOKED_AT_BYTES = 1024 * 1024;

/**
 * Looks at the first line of an upload that is not blank, while the bytes pass. A file that is no JSON there is refused
 * at once; whatever else is wrong with it, the batch reports with line numbers.
 */
export class FirstLine {
  readonly #splitter = new LineSplitter(MAX_LOOKED_AT_BYTES);
  #seen: 'nothing' | 'blank' | 'json' | 'other' = 'nothing';

  /** `other`: it is not JSON. */
  push(chunk: Uint8Array): 'other' | 'fine' {
    if (this.#seen === 'nothing' || this.#seen === 'blank') this.#judge(this.#splitter.push(chunk));
    return this.#seen === 'other' ? 'other' : 'fine';
  }

  /** `other` also for a file without bytes; a file of blank lines is for the batch to refuse. */
  end(): 'other' | 'fine' {
    if (this.#seen === 'nothing' || this.#seen === 'blank') this.#judge(this.#splitter.end());
    return this.#seen === 'other' || this.#seen === 'nothing' ? 'other' : 'fine';
  }

  #judge(lines: Iterable<{ readonly bytes: Buffer; readonly tooLong: boolean }>): void {
    for (const line of lines) {
      this.#seen = line.tooLong ? 'json' : kindOf(line.bytes.toString('utf8'));
      if (this.#seen !== 'blank') return;
    }
  }
}

function kindOf(text: string): 'blank' | 'json' | 'other' {
  if (text.trim() === '') return 'blank';
  try {
    JSON.parse(text);
    return 'json';
  } catch {
    return 'other';
  }
}
