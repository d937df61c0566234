import {
  FairShare,
  KEYS,
  RECORD_VERSION,
  RECORDS,
  TenantShares,
  type EndingRecord,
  type LineError,
  type Manifest,
} from '@spillway/core';
import { close, redisNowMs, type RedisStore } from '@spillway/redis';
import type { InputLimits, Log } from '@spillway/runtime';
import {
  createRecord,
  findInput,
  InputCheck,
  labelErrors,
  storeCopies,
  storeIndex,
  UNKNOWN_INPUT,
  type Records,
  type Storage,
} from '@spillway/storage';
import { Backlog } from './backlog.ts';
import { openPlan, type Calibrator } from './calibrate/calibrator.ts';
import { cleanUp, type Finisher } from './finish.ts';
import type { LiveBatch, LiveBatches } from './live-batches.ts';
import { runStep, type StepFailures } from './step-failures.ts';

/** Bytes that one validation reads before the next batch's validation goes on. */
const SLICE_BYTES = 1024 * 1024;
/** Validations open at once; each holds a stream, 30 to 90 bytes a line and a window of earlier lines. */
const MAX_OPEN = 64;
const MAX_OPEN_PER_TENANT = 8;
/** Slices that are read at a time: a small batch waits for storage most of the time. Of inputs of several slices one is. */
const MAX_CONCURRENT = 8;
/** A pass ends when it has lasted so long, so that what changed meanwhile is looked at. */
const PASS_MS = 100;

export type ValidatorOptions = {
  readonly redis: RedisStore;
  readonly storage: Storage;
  readonly records: Records;
  readonly finisher: Finisher;
  readonly failures: StepFailures;
  readonly limits: InputLimits;
  readonly live: LiveBatches;
  readonly calibrator: Pick<Calibrator, 'has' | 'take'>;
  readonly log: Log;
};

/** A validation that was begun. `size` is that of its input, once it is known. */
type Running = {
  readonly tenant: string;
  readonly slices: AsyncGenerator<number, void>;
  size: number | null;
  isUnderWay: boolean;
};

/** Validates batches a slice at a time: tenants share the reading evenly, then each one's batches do. */
export class Validator {
  readonly #options: ValidatorOptions;
  readonly #backlog = new Backlog();
  readonly #running = new Map<string, Running>();
  readonly #tenants = new FairShare();
  readonly #batches = new TenantShares();

  constructor(options: ValidatorOptions) {
    this.#options = options;
  }

  note(id: string, batch: LiveBatch | null): void {
    if (batch?.phase === 'validating') {
      const isTaken = this.#running.has(id) || this.#options.calibrator.has(id);
      if (!isTaken) this.#backlog.add(id, batch.tenant);
      return;
    }
    this.#backlog.drop(id);
    const running = this.#running.get(id);
    // One that is under way ends by itself: it finds its batch closed.
    if (running !== undefined && !running.isUnderWay) this.#end(id, running);
  }

  /** Validates for a while; false when there is nothing to validate. */
  async validateSome(): Promise<boolean> {
    const untilMs = performance.now() + PASS_MS;
    const lane = async (): Promise<boolean> => {
      let isBusy = false;
      while (performance.now() < untilMs && (await this.#validateSlice())) isBusy = true;
      return isBusy;
    };
    return (await Promise.all(Array.from({ length: MAX_CONCURRENT }, lane))).some(Boolean);
  }

  /** Ends the streams of unfinished validations. */
  async stop(): Promise<void> {
    for (const { slices } of this.#running.values()) await slices.return();
    this.#running.clear();
  }

  /** Validates one slice of one batch; false when nothing can be begun now. */
  async #validateSlice(): Promise<boolean> {
    this.#fill();
    const id = this.#choose();
    const running = id === null ? undefined : this.#running.get(id);
    if (id === null || running === undefined) return false;
    this.#tenants.spend(running.tenant, SLICE_BYTES);
    this.#batches.spend(running.tenant, id, SLICE_BYTES);
    running.isUnderWay = true;
    const step = { batch: id, step: 'validate' } as const;
    const slice = await runStep(this.#options.failures, step, () => sliceOf(running));
    running.isUnderWay = false;
    if (slice === null || slice.done === true) this.#end(id, running);
    return slice !== null;
  }

  /** The next one that is not under way. An input of several slices waits while another one is read. */
  #choose(): string | null {
    const all = [...this.#running];
    const isLargeRead = all.some(([, { isUnderWay, size }]) => isUnderWay && (size ?? 0) > SLICE_BYTES);
    const ready = all.filter(([, { isUnderWay, size }]) => !isUnderWay && !(isLargeRead && (size ?? 0) > SLICE_BYTES));
    const tenants = new Set(ready.map(([, { tenant }]) => tenant));
    const tenant = this.#tenants.next([...tenants].toSorted());
    return this.#batches
      .of(tenant ?? '')
      .next(ready.filter(([, running]) => running.tenant === tenant).map(([id]) => id));
  }

  /** Begins validations of batches that wait for one. */
  #fill(): void {
    const counts = new Map<string, number>();
    for (const { tenant } of this.#running.values()) counts.set(tenant, (counts.get(tenant) ?? 0) + 1);
    const isReady = (id: string): boolean => !this.#options.failures.isWaiting({ batch: id, step: 'validate' });
    const mostOf = (tenant: string): number => MAX_OPEN_PER_TENANT - (counts.get(tenant) ?? 0);
    for (const { id, tenant } of this.#backlog.take(MAX_OPEN - this.#running.size, isReady, mostOf)) {
      this.#backlog.drop(id);
      const slices = validate(this.#options, id);
      this.#running.set(id, { tenant, slices, size: null, isUnderWay: false });
    }
  }

  /** Whatever came of it, the batch is looked at anew. */
  #end(id: string, { slices }: Running): void {
    this.#running.delete(id);
    this.#batches.forget(id);
    slices.return().catch(() => undefined);
    this.#options.live.noteChange(id);
  }
}

/** The next slice of a validation; a first one only says how large the input is, and a small one is read at once. */
async function sliceOf(running: Running): Promise<IteratorResult<number, void>> {
  const first = await running.slices.next();
  if (running.size !== null || first.done === true) return first;
  running.size = first.value;
  return running.size > SLICE_BYTES ? first : await running.slices.next();
}

/** Validates one batch in a single streaming pass; yields the input's size, then the bytes read since the last slice. */
async function* validate(options: ValidatorOptions, id: string): AsyncGenerator<number, void> {
  const { redis, storage, records, finisher, limits } = options;
  const manifest = await records.manifest(id);
  if (manifest === null) throw new Error(`${id} has no manifest`);
  // An API that was slow may admit a batch that the sweep found by its mark, and that has ended, long before.
  if (await records.hasEnded(id)) return await cleanUp({ redis, storage }, id, null);
  const ending = await records.ending(id);
  if (ending !== null && ending.outcome !== 'completed') return await closeAsRecorded(options, ending, id);
  if (await isSampleOfEnded(options, manifest)) return await finisher.refuse(manifest, [NOT_NEEDED]);
  if ((await records.plan(id)) !== null) return await openValidated(options, id);
  const file = await findInput(records, manifest, await redisNowMs(redis));
  if (file === null) return await finisher.refuse(manifest, [UNKNOWN_INPUT]);
  yield file.bytes;
  const key = KEYS.fileBytes(file.id);
  const input = await storage.stream(key);
  if (input === null) return await finisher.refuse(manifest, [UNKNOWN_INPUT]);
  const check = new InputCheck((range) => storage.read(key, range), manifest, limits);
  let unreported = 0;
  for await (const bytes of readAll(check, input)) {
    unreported += bytes;
    // A slice ends where hardly anything of a line is held, so that of all open validations one holds a large line.
    if (unreported < SLICE_BYTES || check.heldBytes > SLICE_BYTES) continue;
    yield unreported;
    unreported = 0;
  }
  const checked = await check.finish();
  const { total, pages, cascades, badLines, rows } = checked;
  const errors = checked.errors.length > 0 ? checked.errors : await labelErrors(storage, manifest, checked);
  if (errors.length > 0) return await finisher.refuse(manifest, errors);
  const draws = checked.draws.finish();
  // A document of a batch of one page is found by reading that page.
  const index = pages.length > 1 ? await storeIndex(storage, id, rows) : null;
  const copies = await storeCopies(storage, id, { rows, pages });
  await createRecord(storage, KEYS.validated(id), RECORDS.validated, {
    v: RECORD_VERSION,
    validatedAtMs: await redisNowMs(redis),
    total,
    cascades: [...cascades],
    pages: [...pages],
    ...(badLines === null ? {} : { badLines }),
    ...(index === null ? {} : { index }),
    ...(copies === null ? {} : { copies }),
    ...(draws === null ? {} : { draws: { ...draws } }),
  });
  await openValidated(options, id);
}

/** Checks an input as far as it matters; yields the bytes that were read, of it and of its earlier lines again. */
async function* readAll(check: InputCheck, input: AsyncIterable<Uint8Array>): AsyncGenerator<number, void> {
  for await (const chunk of input) {
    yield* check.read(chunk);
    if (check.isOver) return;
    yield chunk.length;
  }
}

const NOT_NEEDED: LineError = {
  code: 'invalid_request',
  message: 'The batch that this one samples has ended.',
  param: null,
  line: null,
};

/** Whether a batch is the sample of one that has ended since: nothing of it is needed. */
async function isSampleOfEnded({ records }: ValidatorOptions, { sampleOf }: Manifest): Promise<boolean> {
  return sampleOf !== undefined && ((await records.ending(sampleOf)) !== null || (await records.hasEnded(sampleOf)));
}

/** A recovery that read storage just before the ending was written takes the batch for one to be validated. */
async function closeAsRecorded({ redis, log }: ValidatorOptions, { outcome }: EndingRecord, id: string): Promise<void> {
  const closed = await close(redis, id, outcome);
  log.info({ batch: id, outcome, answer: closed.kind }, 'closed again: its ending was written before');
}

/** Opens a validated batch for enqueueing, unless its thresholds are to be found before. */
async function openValidated({ redis, records, calibrator, log }: ValidatorOptions, id: string): Promise<void> {
  const plan = await records.plan(id);
  // It was closed before its record could be written: whoever closed it ends it without documents.
  if (plan === null) return log.info({ batch: id }, 'not opened: it ended before it was validated');
  if (plan.awaitsCalibration) return calibrator.take(id, plan.manifest.tenant);
  const { total, pages, badLines, copies } = plan;
  const answer = await openPlan(redis, plan);
  const bad = badLines === null ? {} : { badLines: badLines.count };
  const equal = copies === null ? {} : { copies: copies.count };
  log.info({ batch: id, documents: total, ...bad, ...equal, pages: pages.length, answer }, 'validated');
}
