/** One physical line of an input file. */
export type Line = {
  /** 1-based, blank lines counted. */
  readonly number: number;
  /** Where it starts in the file, in bytes. */
  readonly offset: number;
  /** Its bytes without the line end; only the first ones when `tooLong`. */
  readonly bytes: Buffer;
  /** Bytes in the file, line end included. */
  readonly length: number;
  readonly tooLong: boolean;
};

const NEWLINE = 0x0a;
const RETURN = 0x0d;
/** By so much of it one sees what a line is that is too long. */
const BEGIN_BYTES = 64;
const BOM = Buffer.from([0xef, 0xbb, 0xbf]);

/**
 * Cuts a stream of bytes into lines, at `\n` only; one trailing `\r` and the byte order marks before a line are
 * dropped: files that were joined have one before the first line of each.
 * Holds at most one line of `maxBytes` in memory, however long the line in the file is.
 */
export class LineSplitter {
  #number = 0;
  #offset = 0;
  #length = 0;
  #parts: Buffer[] = [];
  #kept = 0;
  /** Of a line that is too long, what is left of it. */
  #begin: Buffer | null = null;
  readonly #maxBytes: number;

  constructor(maxBytes: number, start: { offset: number; number: number } = { offset: 0, number: 0 }) {
    this.#maxBytes = maxBytes;
    this.#offset = start.offset;
    this.#number = start.number;
  }

  /** The lines that end in this chunk. */
  *push(chunk: Uint8Array): Generator<Line> {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    let from = 0;
    for (let end = bytes.indexOf(NEWLINE, from); end !== -1; end = bytes.indexOf(NEWLINE, from)) {
      this.#keep(bytes.subarray(from, end), end + 1 - from);
      yield this.#take();
      from = end + 1;
    }
    if (from < bytes.length) this.#keep(bytes.subarray(from), bytes.length - from);
  }

  /** The last line, when the file does not end with a newline. */
  *end(): Generator<Line> {
    if (this.#length > 0) yield this.#take();
  }

  /** Bytes of the line that has not ended yet that are in memory. */
  get heldBytes(): number {
    return this.#parts.length === 0 ? 0 : this.#kept;
  }

  #keep(part: Buffer, length: number): void {
    this.#length += length;
    if (part.length === 0) return;
    this.#kept += part.length;
    // Four bytes more than allowed may turn out to be a byte order mark and a return; what is longer is let go at once.
    if (this.#kept <= this.#maxBytes + 4) this.#parts.push(part);
    else if (this.#begin === null) {
      const first = this.#parts[0] ?? part;
      this.#begin = Buffer.from(first.subarray(0, BEGIN_BYTES));
      this.#parts = [];
    }
  }

  #take(): Line {
    let bytes = this.#begin ?? (this.#parts.length === 1 ? (this.#parts[0] as Buffer) : Buffer.concat(this.#parts));
    while (bytes.subarray(0, 3).equals(BOM)) bytes = bytes.subarray(3);
    if (bytes.at(-1) === RETURN) bytes = bytes.subarray(0, -1);
    const tooLong = this.#kept > this.#maxBytes + 4 || bytes.length > this.#maxBytes;
    if (tooLong) bytes = bytes.subarray(0, BEGIN_BYTES);
    this.#number += 1;
    const line = { number: this.#number, offset: this.#offset, bytes, length: this.#length, tooLong };
    this.#offset += this.#length;
    this.#length = 0;
    this.#parts = [];
    this.#kept = 0;
    this.#begin = null;
    return line;
  }
}
