import {
  BadLineMarks,
  canonicalJson,
  digestBits,
  digestLongBits,
  DocumentDraws,
  DocumentRows,
  DuplicateFinder,
  duplicateId,
  isDeduplicated,
  LIMITS,
  LineSplitter,
  onBadLines,
  PageCutter,
  readRequestLine,
  type BadLine,
  type BadLines,
  type Bits,
  type DocumentRequest,
  type Line,
  type LineError,
  type LongBits,
  type Manifest,
  type PagePlan,
  type RequestRules,
} from '@spillway/core';
import { runSliced, type InputLimits } from '@spillway/runtime';
import { EarlierLines, type ReadPart } from './earlier-lines.ts';

/** What of a batch its input must fit to. */
export type InputOrder = Pick<Manifest, 'id' | 'endpoint' | 'metadata' | 'cascades'>;

/** Told of each request that is none of the bad lines, in order; `document` is its index in the batch. */
export type OnRequest = (request: DocumentRequest, line: Line, document: number) => void;

/** What a check found: errors, or how many documents there are, of which cascades, and where they lie. */
export type CheckedInput = {
  readonly errors: readonly LineError[];
  readonly total: number;
  readonly pages: readonly PagePlan[];
  readonly cascades: readonly string[];
  /** Null: there are none, or they are errors. */
  readonly badLines: BadLines | null;
  readonly draws: DocumentDraws;
  /** Of those that have an id. */
  readonly rows: DocumentRows;
};

/** A line that is too large is planned so far that whoever reads it again finds it too large again. */
const TOO_LARGE_SURPLUS_BYTES = 8;

/** A body is digested where that takes a millisecond or two at most. */
const MAX_DIGESTED_BYTES = 256 * 1024;
const MAX_DIGESTED_VALUES = 1_000;

/**
 * The one pass over an input file's lines. Its memory is 30 to 90 bytes a line, a plan entry a page, and a line. A bad
 * line is an error of the batch, or, where the batch says so, a document like others whose result is its error.
 */
export class InputCheck {
  readonly #limits: InputLimits;
  readonly #cascadeRules: Manifest['cascades'];
  readonly #rules: RequestRules;
  readonly #splitter: LineSplitter;
  readonly #cutter = new PageCutter();
  readonly #rows = new DocumentRows();
  readonly #ids = new DuplicateFinder(this.#rows);
  readonly #earlier: EarlierLines;
  readonly #onRequest: OnRequest;
  readonly #cascades = new Set<string>();
  readonly #draws: DocumentDraws;
  /** Null: bad lines are errors. */
  readonly #badLines: BadLineMarks | null;
  readonly #errors: LineError[] = [];
  /** Errors in all; the first of them are kept. */
  #found = 0;
  #total = 0;

  /** `readPart` reads of the same bytes that are then checked. */
  constructor(
    readPart: ReadPart,
    { id, endpoint, metadata, cascades }: InputOrder,
    limits: InputLimits,
    onRequest: OnRequest = () => undefined,
  ) {
    const { lineBytes } = limits;
    this.#limits = limits;
    this.#draws = new DocumentDraws(id, cascades);
    this.#cascadeRules = cascades;
    this.#onRequest = onRequest;
    this.#splitter = new LineSplitter(lineBytes);
    this.#rules = { endpoint, cascades: new Set(Object.keys(cascades)), lineBytes };
    this.#earlier = new EarlierLines(readPart, this.#rules);
    this.#badLines = onBadLines(metadata) === 'error_file' ? new BadLineMarks() : null;
  }

  /** Nothing that is still to come can change the result. */
  get isOver(): boolean {
    const isRefused = this.#badLines !== null && this.#found > 0;
    return isRefused || this.#total > this.#limits.lines;
  }

  /** Bytes of an unfinished line that are held until its end comes. */
  get heldBytes(): number {
    return this.#splitter.heldBytes;
  }

  /**
   * Checks the lines that end in a chunk. Yields how many bytes of earlier lines were read again for one of them, so that
   * a chunk of duplicates, each of which may cost a reading, need not be checked in one go.
   */
  async *read(chunk: Uint8Array): AsyncGenerator<number, void> {
    for (const line of this.#splitter.push(chunk)) {
      const before = this.#earlier.readBytes;
      await this.#line(line);
      const again = this.#earlier.readBytes - before;
      if (again > 0) yield again;
    }
  }

  async finish(): Promise<CheckedInput> {
    if (!this.isOver) for (const line of this.#splitter.end()) await this.#line(line);
    return {
      errors: this.#allErrors(),
      total: this.#total,
      pages: this.#cutter.finish(),
      cascades: [...this.#cascades].toSorted(),
      badLines: this.#badLines?.finish(this.#limits.lineBytes) ?? null,
      draws: this.#draws,
      rows: this.#rows,
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
    const read = await runSliced(readRequestLine(line, this.#rules));
    if (read.kind === 'blank') return;
    this.#total += 1;
    const error = read.kind === 'bad' ? this.#badLine(read, line) : await this.#request(read.request, line);
    if (error !== null && this.#badLines === null) {
      this.#refuse(error);
      return;
    }
    if (error !== null && line.number === 1 && isUtf16(line.bytes)) {
      this.#refuse(UTF_16);
      return;
    }
    if (error !== null) this.#badLines?.add(this.#total - 1);
    if (error === null && read.kind === 'request') {
      this.#cascades.add(read.request.cascade);
      this.#draws.add(this.#total - 1, read.request.cascade);
      this.#onRequest(read.request, line, this.#total - 1);
    }
    const { offset, number } = line;
    const length = Math.min(line.length, this.#limits.lineBytes + TOO_LARGE_SURPLUS_BYTES);
    this.#cutter.add({ offset, length, number });
  }

  /** The error of a bad line. Its id is found by it, and is no reason for another line to be a duplicate. */
  #badLine({ customId, error }: BadLine, { offset }: Line): LineError {
    if (customId !== null) this.#add(digestBits(customId), null, offset);
    return error;
  }

  /** The error of a line whose id an earlier one has; null where there is none, and the id is this line's. */
  async #request(request: DocumentRequest, line: Line): Promise<LineError | null> {
    const { customId } = request;
    const { offset, number } = line;
    const id = digestBits(customId);
    const candidates = this.#ids.candidates(id);
    // For an error that is only counted no line is read again: it may be one of a million.
    const isCounted = this.#badLines === null && this.#errors.length === LIMITS.validationErrors;
    if (isCounted && candidates.length > 0) return duplicateId(customId, number);
    for (const earlier of candidates) {
      if ((await this.#earlier.at(earlier))?.customId === customId) return duplicateId(customId, number);
    }
    this.#ids.add(this.#add(id, this.#bodyBits(request, line), offset));
    return null;
  }

  /** By which a document's copies are found; null: it has none, as others like it might be answered otherwise. */
  #bodyBits({ cascade, body }: DocumentRequest, { bytes }: Line): LongBits | null {
    if (!isDeduplicated(this.#cascadeRules[cascade]?.deduplicate, body)) return null;
    const text = bytes.length > MAX_DIGESTED_BYTES ? null : canonicalJson(body, MAX_DIGESTED_VALUES);
    return text === null ? null : digestLongBits(text);
  }

  #add(id: Bits, body: LongBits | null, offset: number): number {
    return this.#rows.add({ id, body, document: this.#total - 1, offset });
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

/** Such a file has no lines at all: what looks like one is none, and so are all the others. */
const UTF_16: LineError = {
  code: 'invalid_utf8',
  message: 'The input file is UTF-16: it must be UTF-8.',
  param: null,
  line: null,
};

/** Whether bytes begin with a mark of UTF-16, or with a character of ASCII in it. */
function isUtf16(bytes: Buffer): boolean {
  const mark = bytes.length < 2 ? 0 : bytes.readUInt16BE(0);
  return mark === 0xfffe || mark === 0xfeff || (bytes.length >= 2 && (bytes[0] === 0) !== (bytes[1] === 0));
}
