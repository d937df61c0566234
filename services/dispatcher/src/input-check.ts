import {
  DuplicateFinder,
  KEYS,
  LIMITS,
  LineSplitter,
  PageCutter,
  readRequestLine,
  type Line,
  type LineError,
  type Manifest,
  type PagePlan,
  type RequestRules,
} from '@spillway/core';
import type { Storage } from '@spillway/storage';

/** What an input file may hold. */
export type InputLimits = { readonly lines: number; readonly lineBytes: number };

/** What a check found: errors, or how many documents there are, of which cascades, and where they lie. */
export type CheckedInput = {
  readonly errors: readonly LineError[];
  readonly total: number;
  readonly pages: readonly PagePlan[];
  readonly cascades: readonly string[];
};

/** The one pass over an input file's lines. Its memory is 16 bytes a line and a plan entry a page. */
export class InputCheck {
  readonly #storage: Storage;
  readonly #manifest: Manifest;
  readonly #limits: InputLimits;
  readonly #rules: RequestRules;
  readonly #splitter: LineSplitter;
  readonly #cutter = new PageCutter();
  readonly #ids = new DuplicateFinder();
  readonly #cascades = new Set<string>();
  #errors: LineError[] = [];
  #total = 0;

  constructor(storage: Storage, manifest: Manifest, limits: InputLimits) {
    const { lineBytes } = limits;
    this.#storage = storage;
    this.#manifest = manifest;
    this.#limits = limits;
    this.#splitter = new LineSplitter(lineBytes);
    this.#rules = { endpoint: manifest.endpoint, cascades: new Set(Object.keys(manifest.cascades)), lineBytes };
  }

  /** Nothing that is still to come can change the result. */
  get isOver(): boolean {
    return this.#errors.length >= LIMITS.validationErrors || this.#total > this.#limits.lines;
  }

  async read(chunk: Uint8Array): Promise<void> {
    for (const line of this.#splitter.push(chunk)) await this.#line(line);
  }

  async finish(): Promise<CheckedInput> {
    if (!this.isOver) for (const line of this.#splitter.end()) await this.#line(line);
    if (this.#total > this.#limits.lines) this.#errors = [tooMany(this.#limits.lines)];
    if (this.#total === 0 && this.#errors.length === 0) {
      const message = 'The input file holds no requests.';
      this.#errors.push({ code: 'empty_file', message, param: null, line: null });
    }
    return {
      errors: this.#errors,
      total: this.#total,
      pages: this.#cutter.finish(),
      cascades: [...this.#cascades].toSorted(),
    };
  }

  async #line(line: Line): Promise<void> {
    if (this.isOver) return;
    const read = readRequestLine(line, this.#rules);
    if (read.kind === 'blank') return;
    this.#total += 1;
    if (read.kind === 'bad') {
      this.#errors.push(read.error);
      return;
    }
    const { customId, cascade } = read.request;
    for (const offset of this.#ids.add(customId, line.offset)) {
      if ((await this.#idAt(offset)) !== customId) continue;
      const shown = customId.length > 64 ? `${customId.slice(0, 64)}…` : customId;
      const message = `The custom_id '${shown}' was used by an earlier line.`;
      this.#errors.push({ code: 'duplicate_custom_id', message, param: 'custom_id', line: line.number });
      return;
    }
    this.#cascades.add(cascade);
    this.#cutter.add(line);
  }

  /** The id of an earlier line, read again: 64 equal bits are no proof. */
  async #idAt(offset: number): Promise<string | null> {
    const range = { start: offset, end: offset + this.#rules.lineBytes + 8 };
    const key = KEYS.fileBytes(this.#manifest.inputFileId);
    const size = (await this.#storage.size(key)) ?? 0;
    const bytes = await this.#storage.read(key, { start: range.start, end: Math.min(range.end, size) });
    // The splitter drops a byte order mark before line 1. Another line that begins with one keeps it, as it did when it
    // was first read, so only the file's first line may be numbered as the first.
    const splitter = new LineSplitter(this.#rules.lineBytes, { offset, number: offset === 0 ? 0 : 1 });
    const line = bytes === null ? undefined : [...splitter.push(bytes).take(1), ...splitter.end()][0];
    const read = line === undefined ? null : readRequestLine(line, this.#rules);
    return read?.kind === 'request' ? read.request.customId : null;
  }
}

const tooMany = (limit: number): LineError => ({
  code: 'too_many_tasks',
  message: `The input file holds more than ${limit} requests.`,
  param: null,
  line: null,
});
