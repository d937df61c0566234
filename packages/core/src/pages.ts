import { createHash } from 'node:crypto';
import { z } from 'zod';
import { COUNTERS, type Counts } from './account.ts';
import { LIMITS } from './limits.ts';
import { waitsRecord, type WaitsRecord } from './waits.ts';

/** A run of consecutive documents of a batch: where its input lies. */
export type PagePlan = {
  /** Index of its first document in the batch, from 0. */
  readonly first: number;
  readonly documents: number;
  /** Byte offset of its first line in the input file. */
  readonly offset: number;
  /** Bytes from there to the end of its last line. */
  readonly bytes: number;
  /** Physical number of the line before its first, for error messages. */
  readonly lineBefore: number;
};

/** Cuts the documents of a batch into pages, as they are read. */
export class PageCutter {
  readonly pages: PagePlan[] = [];
  #open: { first: number; documents: number; offset: number; end: number; lineBefore: number } | null = null;

  /** Adds the next document: its line's offset, length and number. */
  add(line: { offset: number; length: number; number: number }): void {
    const end = line.offset + line.length;
    if (this.#open !== null) {
      const full = this.#open.documents >= LIMITS.pageDocuments || end - this.#open.offset > LIMITS.pageInputBytes;
      if (full) this.#close();
    }
    const last = this.pages.at(-1);
    const first = last === undefined ? 0 : last.first + last.documents;
    this.#open ??= { first, documents: 0, offset: line.offset, end, lineBefore: line.number - 1 };
    this.#open.documents += 1;
    this.#open.end = end;
  }

  /** The whole plan, once every line was added. */
  finish(): readonly PagePlan[] {
    if (this.#open !== null) this.#close();
    return this.pages;
  }

  #close(): void {
    if (this.#open === null) return;
    const { first, documents, offset, end, lineBefore } = this.#open;
    this.pages.push({ first, documents, offset, bytes: end - offset, lineBefore });
    this.#open = null;
  }
}

const counts = z.strictObject(
  Object.fromEntries(COUNTERS.map((name) => [name, z.int().min(0).default(0)])) as Record<
    (typeof COUNTERS)[number],
    z.ZodDefault<z.ZodInt>
  >,
);

const footer = z.object({
  v: z.literal(1),
  page: z.int(),
  documents: z.int(),
  /** Bytes of the output lines, then of the error lines. */
  outputBytes: z.int(),
  errorBytes: z.int(),
  counts,
  /** The waits of the documents that came to an end in a tier. */
  waits: waitsRecord.default({}),
  /** SHA-256 of everything before the footer. */
  sha256: z.string(),
});

/** What a page says of itself; its numbers are the ones that count. */
export type PageFooter = z.output<typeof footer>;

/** One document's place in a page: which file its line goes to. */
export type PageLine = { readonly part: 'output' | 'error'; readonly text: string };

/** The last bytes of a page object: the footer's length in decimal and a mark. */
const trailer = (length: number): string => `${String(length).padStart(10, '0')} spillway-p1\n`;
const TRAILER_BYTES = trailer(0).length;

/** Builds a page object: output lines, error lines, footer, trailer. `lines` in input order. */
export function writePage(
  page: number,
  lines: readonly PageLine[],
  { counts: sums, waits }: { readonly counts: Counts; readonly waits: WaitsRecord },
): { bytes: Buffer; footer: PageFooter } {
  const part = (name: PageLine['part']): Buffer =>
    Buffer.from(lines.flatMap((line) => (line.part === name ? [line.text, '\n'] : [])).join(''));
  const output = part('output');
  const errors = part('error');
  const content = Buffer.concat([output, errors]);
  const written: PageFooter = {
    v: 1,
    page,
    documents: lines.length,
    outputBytes: output.length,
    errorBytes: errors.length,
    counts: sums,
    waits,
    sha256: createHash('sha256').update(content).digest('hex'),
  };
  const tail = Buffer.from(`${JSON.stringify(written)}\n`);
  return { bytes: Buffer.concat([content, tail, Buffer.from(trailer(tail.length))]), footer: written };
}

/** Reads the footer from the last bytes of a page object, or null when they are not the end of one. */
export function readFooter(end: Uint8Array): PageFooter | null {
  const bytes = Buffer.from(end.buffer, end.byteOffset, end.byteLength);
  const mark = /^(\d{10}) spillway-p1\n$/.exec(bytes.subarray(-TRAILER_BYTES).toString('latin1'));
  const length = mark === null ? 0 : Number(mark[1]);
  if (length === 0 || bytes.length < length + TRAILER_BYTES) return null;
  try {
    const text = bytes.subarray(bytes.length - TRAILER_BYTES - length, bytes.length - TRAILER_BYTES).toString();
    return footer.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}

/** Whether a whole page object is what its footer says. */
export function verifyPage(object: Uint8Array): PageFooter | null {
  const read = readFooter(object);
  if (read === null) return null;
  const content = object.subarray(0, read.outputBytes + read.errorBytes);
  return createHash('sha256').update(content).digest('hex') === read.sha256 ? read : null;
}
