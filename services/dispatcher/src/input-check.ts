import {
  cutText,
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
  readonly #errors: LineError[] = [];
  /** Errors in all; the first of them are kept. */
  #found = 0;
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
    return this.#total > this.#limits.lines;
  }

  async read(chunk: Uint8Array): Promise<void> {
    for (const line of this.#splitter.push(chunk)) await this.#line(line);
  }

  async finish(): Promise<CheckedInput> {
    if (!this.isOver) for (const line of this.#splitter.end()) await this.#line(line);
    return {
      errors: this.#allErrors(),
      total: this.#total,
      pages: this.#cutter.finish(),
      cascades: [...this.#cascades].toSorted(),
    };
  }

  #allErrors(): readonly LineError[] {
    const { lines } = this.#limits;
    if (this.#total > lines) return shownErrors([tooMany(lines), ...this.#errors], this.#found + 1, { isAll: false });
    return this.#total === 0 ? [EMPTY] : shownErrors(this.#errors, this.#found, { isAll: true });
  }

  #refuse(error: LineError): void {
    this.#found += 1;
    if (this.#errors.length < LIMITS.validationErrors) this.#errors.push(error);
  }

  async #line(line: Line): Promise<void> {
    if (this.isOver) return;
    const read = readRequestLine(line, this.#rules);
    if (read.kind === 'blank') return;
    this.#total += 1;
    if (read.kind === 'bad') {
      this.#refuse(read.error);
      return;
    }
    const { customId, cascade } = read.request;
    if (await this.#isUsed(customId)) {
      const message = `The custom_id '${cutText(customId, 64, '…')}' was used by an earlier line.`;
      this.#refuse({ code: 'duplicate_custom_id', message, param: 'custom_id', line: line.number });
      return;
    }
    this.#ids.add(customId, line.offset);
    this.#cascades.add(cascade);
    this.#cutter.add(line);
  }

  /** Whether an earlier line has this id. For an error that is only counted no line is read again: it may be one of a million. */
  async #isUsed(customId: string): Promise<boolean> {
    const candidates = this.#ids.find(customId);
    if (candidates.length > 0 && this.#errors.length === LIMITS.validationErrors) return true;
    for (const offset of candidates) if ((await this.#idAt(offset)) === customId) return true;
    return false;
  }

  /** The id of an earlier line, read again: 64 equal bits are no proof. */
  async #idAt(offset: number): Promise<string | null> {
    const range = { start: offset, end: offset + this.#rules.lineBytes + 8 };
    const key = KEYS.fileBytes(this.#manifest.inputFileId);
    const size = (await this.#storage.size(key)) ?? 0;
    const bytes = await this.#storage.read(key, { start: range.start, end: Math.min(range.end, size) });
    const splitter = new LineSplitter(this.#rules.lineBytes);
    const line = bytes === null ? undefined : [...splitter.push(bytes).take(1), ...splitter.end()][0];
    const read = line === undefined ? null : readRequestLine(line, this.#rules);
    return read?.kind === 'request' ? read.request.customId : null;
  }
}

/** The first of the errors found; where there are more, the last one says how many there are in all. */
function shownErrors(errors: readonly LineError[], found: number, { isAll }: { isAll: boolean }): readonly LineError[] {
  const shown = errors.slice(0, LIMITS.validationErrors);
  const last = shown.at(-1);
  if (last === undefined || found === shown.length) return shown;
  const inAll = `${isAll ? '' : 'at least '}${found}`;
  const message = `${last.message} There are ${inAll} errors in all; these are the first ${shown.length}.`;
  return [...shown.slice(0, -1), { ...last, message }];
}

const EMPTY: LineError = {
  code: 'empty_file',
  message: 'The input file holds no requests: all its lines are blank.',
  param: null,
  line: null,
};

const tooMany = (limit: number): LineError => ({
  code: 'too_many_tasks',
  message: `The input file holds more than ${limit} requests.`,
  param: null,
  line: null,
});
