import {
  FairShare,
  isFileId,
  KEYS,
  RECORD_VERSION,
  RECORDS,
  type EndingRecord,
  type LineError,
  type Manifest,
} from '@spillway/core';
import { close, open, redisNowMs, type RedisStore } from '@spillway/redis';
import type { Log } from '@spillway/runtime';
import { createRecord, type Records, type Storage } from '@spillway/storage';
import { cleanUp, type Finisher } from './finish.ts';
import { InputCheck, type InputLimits } from './input-check.ts';
import type { LiveBatch } from './live-batches.ts';
import { runStep, type StepFailures } from './step-failures.ts';

/** Bytes that one validation reads before the next batch's validation goes on. */
const SLICE_BYTES = 1024 * 1024;
/** Validations open at once; each holds a stream, 16 bytes a line and a window of earlier lines. */
const MAX_OPEN = 64;
const MAX_OPEN_PER_TENANT = 8;

export type ValidatorOptions = {
  readonly redis: RedisStore;
  readonly storage: Storage;
  readonly records: Records;
  readonly finisher: Finisher;
  readonly failures: StepFailures;
  readonly limits: InputLimits;
  readonly log: Log;
};

type Running = { readonly tenant: string; readonly slices: AsyncGenerator<number, void> };

/** Validates batches a slice at a time: tenants share the reading evenly, then each one's batches do. */
export class Validator {
  readonly #options: ValidatorOptions;
  readonly #onDone: () => void;
  readonly #running = new Map<string, Running>();
  readonly #tenants = new FairShare();
  readonly #batches = new FairShare();

  /** `onDone` is called when a batch's validation is over, so that no older reading of the batches is used any more. */
  constructor(options: ValidatorOptions, onDone: () => void) {
    this.#options = options;
    this.#onDone = onDone;
  }

  /** Validates one slice of one batch; false when there is nothing to validate. */
  async validateSlice(live: readonly LiveBatch[]): Promise<boolean> {
    const { failures } = this.#options;
    const isReady = (batch: string): boolean => !failures.isWaiting({ batch, step: 'validate' });
    await this.#choose(live.filter(({ id: batch, phase }) => phase === 'validating' && isReady(batch)));
    const tenants = new Set(this.#running.values().map((running) => running.tenant));
    const tenant = this.#tenants.next([...tenants].toSorted());
    if (tenant === null) return false;
    const own = [...this.#running].filter(([, running]) => running.tenant === tenant).map(([id]) => id);
    const id = this.#batches.next(own);
    const running = id === null ? undefined : this.#running.get(id);
    if (id === null || running === undefined) return false;
    const slice = await runStep(failures, { batch: id, step: 'validate' }, () => running.slices.next());
    const isOver = slice === null || slice.done === true;
    const cost = isOver ? SLICE_BYTES : slice.value;
    this.#tenants.spend(tenant, cost);
    this.#batches.spend(id, cost);
    if (isOver) {
      this.#running.delete(id);
      this.#onDone();
    }
    return slice !== null;
  }

  /** Ends the streams of unfinished validations. */
  async stop(): Promise<void> {
    for (const { slices } of this.#running.values()) await slices.return();
    this.#running.clear();
  }

  /** Ends validations of batches that wait for none, and begins some of those that do. */
  async #choose(waiting: readonly LiveBatch[]): Promise<void> {
    const wanted = new Set(waiting.map((batch) => batch.id));
    for (const [id, { slices }] of this.#running) {
      if (wanted.has(id)) continue;
      this.#running.delete(id);
      await slices.return();
    }
    for (const { id, tenant } of waiting) {
      if (this.#running.size >= MAX_OPEN) return;
      const own = [...this.#running.values()].filter((running) => running.tenant === tenant).length;
      if (!this.#running.has(id) && own < MAX_OPEN_PER_TENANT) {
        this.#running.set(id, { tenant, slices: validate(this.#options, id) });
      }
    }
  }
}

/** Validates one batch in a single streaming pass; yields the bytes read since the last slice. */
async function* validate(options: ValidatorOptions, id: string): AsyncGenerator<number, void> {
  const { redis, storage, records, finisher, limits } = options;
  const manifest = await records.manifest(id);
  if (manifest === null) throw new Error(`${id} has no manifest`);
  // An API that was slow may admit a batch that the sweep found by its mark, and that has ended, long before.
  if (await records.hasEnded(id)) return await cleanUp({ redis, storage }, id, []);
  const ending = await records.ending(id);
  if (ending !== null && ending.outcome !== 'completed') return await closeAsRecorded(options, ending, id);
  if ((await records.plan(id)) !== null) return await openValidated(options, id);
  const input = await openInput(options, manifest);
  if (input === null) return await finisher.refuse(manifest, [UNKNOWN_FILE]);
  const check = new InputCheck(storage, manifest, limits);
  let unreported = 0;
  for await (const bytes of readAll(check, input)) {
    unreported += bytes;
    // A slice ends where hardly anything of a line is held, so that of all open validations one holds a large line.
    if (unreported < SLICE_BYTES || check.heldBytes > SLICE_BYTES) continue;
    yield unreported;
    unreported = 0;
  }
  const { errors, total, pages, cascades, badLines } = await check.finish();
  if (errors.length > 0) return await finisher.refuse(manifest, errors);
  await createRecord(storage, KEYS.validated(id), RECORDS.validated, {
    v: RECORD_VERSION,
    validatedAtMs: await redisNowMs(redis),
    total,
    cascades: [...cascades],
    pages: [...pages],
    ...(badLines === null ? {} : { badLines }),
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

const UNKNOWN_FILE: LineError = {
  code: 'invalid_request',
  message: 'The input file does not exist, or its purpose is not batch.',
  param: 'file_id',
  line: null,
};

async function openInput(
  { redis, storage, records }: ValidatorOptions,
  manifest: Manifest,
): Promise<AsyncIterable<Uint8Array> | null> {
  if (!isFileId(manifest.inputFileId)) return null;
  const file = await records.standingFile(manifest.inputFileId, await redisNowMs(redis));
  if (file === null || file.tenant !== manifest.tenant || file.purpose !== 'batch') return null;
  return await storage.stream(KEYS.fileBytes(file.id));
}

/** A recovery that read storage just before the ending was written takes the batch for one to be validated. */
async function closeAsRecorded(
  { redis, log }: ValidatorOptions,
  { outcome }: EndingRecord,
  id: string,
): Promise<void> {
  const closed = await close(redis, id, outcome);
  log.info({ batch: id, outcome, answer: closed.kind }, 'closed again: its ending was written before');
}

/** Opens a validated batch for enqueueing; the rules of its cascades go to Redis, where workers read them. */
async function openValidated({ redis, records, log }: ValidatorOptions, id: string): Promise<void> {
  const plan = await records.plan(id);
  // It was closed before its record could be written: whoever closed it ends it without documents.
  if (plan === null) return log.info({ batch: id }, 'not opened: it ended before it was validated');
  const { total, pages, model, validatedAtMs, cascades, badLines } = plan;
  const facts = { total, pages: pages.length, model, inProgressAtMs: validatedAtMs };
  const answer = await open(redis, id, facts, cascades);
  const bad = badLines === null ? {} : { badLines: badLines.count };
  log.info({ batch: id, documents: total, ...bad, pages: pages.length, answer }, 'validated');
}
