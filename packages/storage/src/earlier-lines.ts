import { LineSplitter, readRequestLine, type DocumentRequest, type RequestRules } from '@spillway/core';
import { runSliced } from '@spillway/runtime';
import type { ByteRange } from './storage.ts';

/** Bytes that are read at a time: what is a copy of another part of its file is found in few readings. */
const WINDOW_BYTES = 64 * 1024;

/** A line's end, and a byte order mark before it. */
const LINE_SURPLUS_BYTES = 8;

/** Reads bytes of an input again, wherever it lies; null: it is gone. */
export type ReadPart = (range: ByteRange) => Promise<Uint8Array | null>;

/** A part of the file as it was read last. */
type Window = { readonly start: number; readonly bytes: Uint8Array; readonly isLast: boolean };

/** Lines that were checked before, read from the input again: to compare their ids, as 64 equal bits are no proof, or to be asked about. */
export class EarlierLines {
  readonly #readPart: ReadPart;
  readonly #rules: RequestRules;
  #window: Window = { start: 0, bytes: new Uint8Array(), isLast: false };
  #readBytes = 0;

  constructor(readPart: ReadPart, rules: RequestRules) {
    this.#readPart = readPart;
    this.#rules = rules;
  }

  /** Bytes that were read so far. */
  get readBytes(): number {
    return this.#readBytes;
  }

  /** The request whose line begins at an offset; null when there is none. */
  async at(offset: number): Promise<DocumentRequest | null> {
    const known = await this.#requestIn(this.#window, offset);
    if (known !== undefined) return known;
    this.#window = await this.#read(offset, WINDOW_BYTES);
    const near = await this.#requestIn(this.#window, offset);
    if (near !== undefined) return near;
    // Longer than a window, as few are: it is not kept.
    const whole = await this.#read(offset, this.#rules.lineBytes + LINE_SURPLUS_BYTES);
    return (await this.#requestIn({ ...whole, isLast: true }, offset)) ?? null;
  }

  /** Undefined: the line does not lie whole in the window. */
  async #requestIn({ start, bytes, isLast }: Window, offset: number): Promise<DocumentRequest | null | undefined> {
    if (offset < start || offset >= start + bytes.length) return undefined;
    // Only the file's first line may be numbered as the first: the splitter drops a byte order mark before that one.
    const splitter = new LineSplitter(this.#rules.lineBytes, { offset, number: offset === 0 ? 0 : 1 });
    const [first] = splitter.push(bytes.subarray(offset - start));
    const line = first ?? (isLast ? splitter.end().next().value : undefined);
    if (line === undefined) return undefined;
    const read = await runSliced(readRequestLine(line, this.#rules));
    return read.kind === 'request' ? read.request : null;
  }

  async #read(start: number, most: number): Promise<Window> {
    const bytes = (await this.#readPart({ start, end: start + most })) ?? new Uint8Array();
    this.#readBytes += bytes.length;
    return { start, bytes, isLast: bytes.length < most };
  }
}
