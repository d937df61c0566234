import { z } from 'zod';

const bits = z.codec(z.base64(), z.instanceof(Uint8Array), {
  decode: (text) => Buffer.from(text, 'base64'),
  encode: (bytes) => Buffer.from(bytes).toString('base64'),
});

/** The bad lines of a batch that go to its error file, as they are written down: a bit a document, 125 kB for a million. */
export const badLinesRecord = z.object({
  /** The limit by which lines were too large when they were read. */
  lineBytes: z.int(),
  count: z.int(),
  /** Bit `document % 8` of byte `document / 8`; what lies behind the last bad line is left out. */
  bits,
});

/**
 * Which of a batch's documents are bad lines. It is written down by the validation, so that everybody who reads the
 * lines again agrees, of whatever version and with whatever limits: a duplicate is known by the whole file only.
 */
export type BadLines = Readonly<z.output<typeof badLinesRecord>>;

/** Whether a document, by its index in the batch, is a bad line. */
export const isBadLine = (bad: BadLines | null, document: number): boolean =>
  (((bad?.bits[document >> 3] ?? 0) >> (document & 7)) & 1) === 1;

/** Gathers the bad lines of a batch as it is validated; documents come in order. */
export class BadLineMarks {
  #bits = new Uint8Array(64);
  #bytes = 0;
  #count = 0;

  add(document: number): void {
    const byte = document >> 3;
    if (byte >= this.#bits.length) {
      const larger = new Uint8Array(2 * Math.max(byte, this.#bits.length));
      larger.set(this.#bits);
      this.#bits = larger;
    }
    this.#bits[byte] = (this.#bits[byte] ?? 0) | (1 << (document & 7));
    this.#bytes = byte + 1;
    this.#count += 1;
  }

  get count(): number {
    return this.#count;
  }

  /** What was gathered; null: there is no bad line. */
  finish(lineBytes: number): BadLines | null {
    if (this.#count === 0) return null;
    return { lineBytes, count: this.#count, bits: this.#bits.slice(0, this.#bytes) };
  }
}
