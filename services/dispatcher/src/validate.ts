import {
  DuplicateFinder,
  isFileId,
  FairShare,
  KEYS,
  LIMITS,
  LineSplitter,
  PageCutter,
  RECORDS,
  readRequestLine,
  type Line,
  type LineError,
  type Manifest,
  type RequestRules,
} from '@spillway/core';
import { open, redisNowMs } from '@spillway/redis';
import { createRecord, readRecord } from '@spillway/storage';
import { apart, type Desk } from './desk.ts';
import { clean, refuse } from './end.ts';
import type { LiveBatch } from './live.ts';

/** Bytes that one validation reads before another one has its turn. */
const SLICE_BYTES = 1024 * 1024;
/** Validations open at once; each holds a stream and 16 bytes a line. */
const OPEN_AT_ONCE = 64;
const OPEN_PER_TENANT = 8;

type Running = { readonly tenant: string; readonly steps: AsyncGenerator<number, void> };

/** Validates batches, a slice of each in turn: tenants share evenly, then each one's batches. */
export class Validator {
  readonly #desk: Desk;
  readonly #running = new Map<string, Running>();
  readonly #tenants = new FairShare();
  readonly #batches = new FairShare();

  readonly #onDone: () => void;

  /** `onDone` is called when a batch is validating no more, so that nobody takes it for one that is. */
  constructor(desk: Desk, onDone: () => void) {
    this.#desk = desk;
    this.#onDone = onDone;
  }

  /** One slice of one batch; false when there is nothing to validate. */
  async turn(live: readonly LiveBatch[]): Promise<boolean> {
    const { troubles } = this.#desk;
    await this.#choose(live.filter(({ id: own, phase }) => phase === 'validating' && !troubles.rests(own, 'validate')));
    const tenant = this.#tenants.next(
      [...new Set([...this.#running.values()].map((running) => running.tenant))].toSorted(),
    );
    if (tenant === null) return false;
    const own = [...this.#running].filter(([, running]) => running.tenant === tenant).map(([id]) => id);
    const id = this.#batches.next(own);
    const running = id === null ? undefined : this.#running.get(id);
    if (id === null || running === undefined) return false;
    const step = await apart(this.#desk, id, 'validate', () => running.steps.next());
    const cost = step === null || step.done === true ? SLICE_BYTES : step.value;
    this.#tenants.spend(tenant, cost);
    this.#batches.spend(id, cost);
    if (step === null || step.done === true) {
      this.#running.delete(id);
      this.#onDone();
    }
    return step !== null;
  }

  /** Ends the streams of unfinished validations. */
  async stop(): Promise<void> {
    for (const { steps } of this.#running.values()) await steps.return();
    this.#running.clear();
  }

  async #choose(waiting: readonly LiveBatch[]): Promise<void> {
    const wanted = new Set(waiting.map((batch) => batch.id));
    for (const [id, { steps }] of this.#running) {
      if (wanted.has(id)) continue;
      this.#running.delete(id);
      await steps.return();
    }
    for (const { id, tenant } of waiting) {
      if (this.#running.size >= OPEN_AT_ONCE) return;
      const own = [...this.#running.values()].filter((running) => running.tenant === tenant).length;
      if (!this.#running.has(id) && own < OPEN_PER_TENANT) {
        this.#running.set(id, { tenant, steps: validate(this.#desk, id) });
      }
    }
  }
}

/** Validates one batch in a single streaming pass; yields the bytes read since the last step. */
async function* validate(desk: Desk, id: string): AsyncGenerator<number, void> {
  const manifest = await desk.records.manifest(id);
  if (manifest === null) throw new Error(`${id} has no manifest`);
  // A slow API may tell Redis of a batch that was found by its mark, and ended, long before.
  if ((await desk.storage.size(KEYS.final(id))) !== null) return await clean(desk, id, []);
  if ((await desk.records.plan(id)) !== null) return await opened(desk, id);
  const input = await openInput(desk, manifest);
  if (input === null) return await refuse(desk, manifest, [UNKNOWN_FILE]);
  const pass = new Pass(desk, manifest);
  let unread = 0;
  for await (const chunk of input) {
    await pass.read(chunk);
    unread += chunk.length;
    if (pass.over) break;
    if (unread < SLICE_BYTES) continue;
    yield unread;
    unread = 0;
  }
  const result = await pass.finish();
  if (result.errors.length > 0) return await refuse(desk, manifest, result.errors);
  const record = {
    v: 1 as const,
    validatedAtMs: await redisNowMs(desk.board),
    total: result.total,
    cascades: result.cascades,
    pages: result.pages.map((page): [number, number, number, number, number] => [
      page.first,
      page.documents,
      page.offset,
      page.bytes,
      page.lineBefore,
    ]),
  };
  await createRecord(desk.storage, KEYS.validated(id), RECORDS.validated, record);
  await opened(desk, id);
}

const UNKNOWN_FILE: LineError = {
  code: 'invalid_request',
  message: 'The input file does not exist, or its purpose is not batch.',
  param: 'file_id',
  line: null,
};

async function openInput(desk: Desk, manifest: Manifest): Promise<AsyncIterable<Uint8Array> | null> {
  if (!isFileId(manifest.inputFileId)) return null;
  const file = await readRecord(desk.storage, KEYS.fileRecord(manifest.inputFileId), RECORDS.file);
  if (file === null || file.tenant !== manifest.tenant || file.purpose !== 'batch') return null;
  if (file.expiresAtMs !== null && file.expiresAtMs <= (await redisNowMs(desk.board))) return null;
  if ((await desk.storage.size(KEYS.fileTombstone(file.id))) !== null) return null;
  return await desk.storage.stream(KEYS.fileBytes(file.id));
}

async function opened(desk: Desk, id: string): Promise<void> {
  const plan = await desk.records.plan(id);
  if (plan === null) throw new Error(`${id} has no plan after its validation`);
  const { total, pages, model, validatedAtMs } = plan;
  const facts = { total, pages: pages.length, model, inProgressAtMs: validatedAtMs };
  const answer = await open(desk.board, id, facts);
  desk.log.info({ batch: id, documents: total, pages: pages.length, answer }, 'validated');
}

/** The pass over a file's lines. */
class Pass {
  readonly #desk: Desk;
  readonly #manifest: Manifest;
  readonly #rules: RequestRules;
  readonly #splitter: LineSplitter;
  readonly #cutter = new PageCutter();
  readonly #ids = new DuplicateFinder();
  readonly #cascades = new Set<string>();
  #errors: LineError[] = [];
  #total = 0;

  constructor(desk: Desk, manifest: Manifest) {
    this.#desk = desk;
    this.#manifest = manifest;
    const { lineBytes } = desk.limits;
    this.#splitter = new LineSplitter(lineBytes);
    this.#rules = { endpoint: manifest.endpoint, cascades: new Set(Object.keys(manifest.cascades)), lineBytes };
  }

  /** Nothing that is still to come can change the result. */
  get over(): boolean {
    return this.#errors.length >= LIMITS.validationErrors || this.#total > this.#desk.limits.lines;
  }

  async read(chunk: Uint8Array): Promise<void> {
    for (const line of this.#splitter.push(chunk)) await this.#line(line);
  }

  async finish() {
    if (!this.over) for (const line of this.#splitter.end()) await this.#line(line);
    if (this.#total > this.#desk.limits.lines) this.#errors = [tooMany(this.#desk.limits.lines)];
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
    if (this.over) return;
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
    const size = (await this.#desk.storage.size(key)) ?? 0;
    const bytes = await this.#desk.storage.read(key, { start: range.start, end: Math.min(range.end, size) });
    // A number above 0 keeps the byte order mark of a first line out of the way: it was dropped when first read.
    const splitter = new LineSplitter(this.#rules.lineBytes, { offset, number: offset === 0 ? 0 : 1 });
    const line = bytes === null ? undefined : [...splitter.push(bytes).take(1), ...splitter.end()][0];
    const read = line === undefined ? null : readRequestLine(line, this.#rules);
    return read?.kind === 'request' ? read.request.customId : null;
  }
}

const tooMany = (most: number): LineError => ({
  code: 'too_many_tasks',
  message: `The input file holds more than ${most} requests.`,
  param: null,
  line: null,
});
