import { LineSplitter, readRequestLine, type RequestRules } from '@spillway/core';
import { runSliced } from '@spillway/runtime';
import type { Storage } from '@spillway/storage';

/** Bytes that are read at a time: what is a copy of another part of its file is found in few readings. */
const WINDOW_BYTES = 64 * 1024;

/** A line's end, and a byte order mark before it. */
const LINE_SURPLUS_BYTES = 8;

/** A part of the file as it was read last. */
type Window = { readonly start: number; readonly bytes: Uint8Array; readonly isLast: boolean };

/** The ids of lines that were checked before, read from the file again: 64 equal bits are no proof. */
export class EarlierIds {
  readonly #storage: Storage;
  readonly #key: string;
  readonly #rules: RequestRules;
  #window: Window = { start: 0, bytes: new Uint8Array(), isLast: false };
  #readBytes = 0;

  constructor(storage: Storage, key: string, rules: RequestRules) {
    this.#storage = storage;
    this.#key = key;
    this.#rules = rules;
  }

  /** Bytes that were read so far. */
  get readBytes(): number {
    return this.#readBytes;
  }

  /** The id of the request whose line begins at an offset; null when there is none. */
  async at(offset: number): Promise<string | null> {
    const known = await this.#idIn(this.#window, offset);
    if (known !== undefined) return known;
    this.#window = await this.#read(offset, WINDOW_BYTES);
    const near = await this.#idIn(this.#window, offset);
    if (near !== undefined) return near;
    // Longer than a window, as few are: it is not kept.
    const whole = await this.#read(offset, this.#rules.lineBytes + LINE_SURPLUS_BYTES);
    return (await this.#idIn({ ...whole, isLast: true }, offset)) ?? null;
  }

  /** Undefined: the line does not lie whole in the window. */
  async #idIn({ start, bytes, isLast }: Window, offset: number): Promise<string | null | undefined> {
    if (offset < start || offset >= start + bytes.length) return undefined;
    // Only the file's first line may be numbered as the first: the splitter drops a byte order mark before that one.
    const splitter = new LineSplitter(this.#rules.lineBytes, { offset, number: offset === 0 ? 0 : 1 });
    const [first] = splitter.push(bytes.subarray(offset - start));
    const line = first ?? (isLast ? splitter.end().next().value : undefined);
    if (line === undefined) return undefined;
    const read = await runSliced(readRequestLine(line, this.#rules));
    return read.kind === 'request' ? read.request.customId : null;
  }

  async #read(start: number, most: number): Promise<Window> {
    const bytes = (await this.#storage.read(this.#key, { start, end: start + most })) ?? new Uint8Array();
    this.#readBytes += bytes.length;
    return { start, bytes, isLast: bytes.length < most };
  }
}
