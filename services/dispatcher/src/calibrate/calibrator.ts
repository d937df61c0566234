import {
  calibrateCascade,
  cannotJudge,
  drawnDocuments,
  judgingStages,
  labelsFileOf,
  MAX_USD_REACHED,
  rightOf,
  KEYS,
  RECORD_VERSION,
  RECORDS,
  sampleIdOf,
  stageTier,
  type CascadeCalibration,
  type DrawnDocument,
} from '@spillway/core';
import { close, open, readFindings, redisNowMs, steer, type RedisStore } from '@spillway/redis';
import { mapConcurrent, type Log } from '@spillway/runtime';
import {
  createRecord,
  readLabels,
  type BatchPlan,
  type ReadLabels,
  type Records,
  type Storage,
} from '@spillway/storage';
import { Backlog } from '../backlog.ts';
import type { LiveBatch, LiveBatches } from '../live-batches.ts';
import { runStep, type StepFailures } from '../step-failures.ts';
import { makeSample } from './sample-batch.ts';
import { SampleLines } from './sample-lines.ts';

/** Batches that are looked at in one pass, and how many at a time. */
const MAX_BATCHES = 64;
const MAX_CONCURRENT = 8;

/** A sample's end is said; what of that was missed is found by looking so often. */
const LOOKS_EVERY_MS = 5_000;

export type CalibratorOptions = {
  readonly redis: RedisStore;
  readonly storage: Storage;
  readonly records: Records;
  readonly failures: StepFailures;
  readonly live: Pick<LiveBatches, 'get' | 'noteChange'>;
  readonly log: Log;
};

/**
 * Finds the thresholds of validated batches that have none: a batch of their drawn documents runs every stage, and from
 * its results follows the calibration record, which is create-only. Until that stands nothing else of the batch is
 * enqueued, and everything up to there can be done again: so it survives the death of whoever does it, and a lost Redis.
 */
export class Calibrator {
  readonly #options: CalibratorOptions;
  readonly #lines: SampleLines;
  /** Batches whose thresholds are to be found, and those of them that may be now. */
  readonly #waiting = new Map<string, string>();
  readonly #due = new Backlog();
  readonly #batchOf = new Map<string, string>();
  #nextLookMs = 0;

  constructor(options: CalibratorOptions) {
    this.#options = options;
    this.#lines = new SampleLines(options);
  }

  /** Whether a batch was taken, and its thresholds are not found yet. */
  has(batch: string): boolean {
    return this.#waiting.has(batch);
  }

  /** Takes a batch that was validated. */
  take(batch: string, tenant: string): void {
    this.#waiting.set(batch, tenant);
    this.#batchOf.set(sampleIdOf(batch), batch);
    this.#due.add(batch, tenant);
  }

  note(id: string, batch: LiveBatch | null): void {
    if (this.#waiting.has(id) && batch?.phase !== 'validating') this.#drop(id);
    const sampled = this.#batchOf.get(id);
    const tenant = sampled === undefined ? undefined : this.#waiting.get(sampled);
    if (sampled !== undefined && tenant !== undefined && batch === null) this.#due.add(sampled, tenant);
  }

  /** Takes some batches one step on; true when the thresholds of one were found. */
  async calibrateSome(): Promise<boolean> {
    const { failures, live } = this.#options;
    if (performance.now() >= this.#nextLookMs) {
      this.#nextLookMs = performance.now() + LOOKS_EVERY_MS;
      // What is in work says when it ends.
      for (const [batch, tenant] of this.#waiting) {
        if (live.get(sampleIdOf(batch)) === undefined) this.#due.add(batch, tenant);
      }
    }
    const isReady = (id: string): boolean => !failures.isWaiting({ batch: id, step: 'calibrate' });
    const some = this.#due.take(MAX_BATCHES, isReady);
    const done = await mapConcurrent(some, MAX_CONCURRENT, async ({ id }) => {
      const step = { batch: id, step: 'calibrate' } as const;
      const answer = await runStep(failures, step, () => this.#calibrate(id));
      // What failed is tried again.
      if (answer === null) return false;
      if (answer === 'OPENED' || answer === 'CLOSED') this.#drop(id);
      else if (answer === 'sampling') this.#due.drop(id);
      live.noteChange(id);
      return answer === 'OPENED';
    });
    return done.some(Boolean);
  }

  async #calibrate(id: string): Promise<Awaited<ReturnType<typeof open>> | 'sampling'> {
    const { redis, storage, records, log } = this.#options;
    const plan = await records.plan(id);
    if (plan === null) throw new Error(`${id} is not validated`);
    if (plan.awaitsCalibration) {
      const hopeless = await this.#cannotJudge(plan);
      const isNeeded = !hopeless && drawnDocuments(plan.draws ?? {}).length > 0;
      if (isNeeded && !(await this.#isSampled(plan))) return 'sampling';
      const cascades = await this.#found(plan, hopeless);
      const calibration = { v: RECORD_VERSION, calibratedAtMs: await redisNowMs(redis), cascades } as const;
      const { record } = await createRecord(storage, KEYS.calibration(id), RECORDS.calibration, calibration);
      for (const [cascade, { aim, outcome, reason, n, population, stages, expertShare }] of Object.entries(
        record.cascades,
      )) {
        const found = { outcome, reason, n, population, stages, expertShare };
        log.info({ batch: id, cascade, aim, ...found }, 'found the thresholds of a batch');
      }
    }
    if (await this.#hasReachedCap(id)) {
      await close(redis, id, 'expired');
      return 'CLOSED';
    }
    const calibrated = await records.plan(id);
    return calibrated === null ? 'CLOSED' : await openPlan(redis, calibrated);
  }

  /** Whether the sample has come to its end; it is made where there is none. */
  async #isSampled(plan: BatchPlan): Promise<boolean> {
    const { records, storage, redis, log } = this.#options;
    const { id } = plan.manifest;
    const sample = sampleIdOf(id);
    if (await records.hasEnded(sample)) return true;
    const isMade = (await records.manifest(sample)) !== null;
    if (!isMade) await makeSample({ redis, storage }, plan);
    // Whoever made it may have died before it was paused with its batch.
    const steering = await records.steering(id);
    if (steering !== null) await steer(redis, sample, steering);
    if (isMade) return false;
    log.info({ batch: id, sample, documents: drawnDocuments(plan.draws ?? {}).length }, 'samples a batch');
    return false;
  }

  /** Whether the sample has cost what the batch may: nothing more of it is asked. */
  async #hasReachedCap(id: string): Promise<boolean> {
    const { errors = [] } = (await this.#options.records.final(sampleIdOf(id))) ?? {};
    return errors.some(({ code }) => code === MAX_USD_REACHED);
  }

  /** Whether nothing of the batch could be judged, as the checks of its models found; once it is sampled, that shows itself. */
  async #cannotJudge({ manifest, cascades }: BatchPlan): Promise<boolean> {
    const { redis, records } = this.#options;
    if ((await records.manifest(sampleIdOf(manifest.id))) !== null) return false;
    const sampled = Object.values(cascades).filter(({ aim }) => aim !== undefined);
    const tiers = sampled.flatMap((rules) => judgingStages(rules).map((stage) => stageTier(rules, stage)));
    const found = await readFindings(redis, [...new Set(tiers)]);
    const known = new Map([...found].map(([tier, { found: own }]) => [tier, own]));
    return sampled.every((rules) => cannotJudge(rules, known));
  }

  async #found(plan: BatchPlan, hopeless: boolean): Promise<Record<string, CascadeCalibration>> {
    const labels = await this.#labels(plan);
    const known = new Map<number, DrawnDocument>();
    for await (const { document, line, sample } of this.#lines.read(plan, { from: 0, to: plan.total })) {
      const isAnswered = line.response !== null && line.response.status_code < 300;
      const delivered = isAnswered && line.cascade !== undefined ? line.cascade.stage - 1 : null;
      const rules = plan.cascades[line.cascade?.name ?? ''];
      const answer = labels?.get(line.custom_id ?? '')?.answer ?? null;
      const right = rules === undefined || answer === null ? undefined : rightOf(line, rules, answer);
      known.set(document, { judged: sample.judged, delivered, right });
    }
    return Object.fromEntries(
      Object.entries(plan.cascades).flatMap(([name, rules]) => {
        if (rules.aim === undefined) return [];
        const { population = 0, documents = [] } = plan.draws?.[name] ?? {};
        const drawn = documents.map((document) => known.get(document) ?? { judged: null, delivered: null });
        return [[name, calibrateCascade({ rules, population, drawn, cannotJudge: hopeless })]];
      }),
    );
  }

  /**
   * The labels by which an accuracy is promised; null: none is. They could be read when the batch was validated. Of which
   * documents they are is read beforehand, so that neither all labels nor all answers are in memory.
   */
  async #labels(plan: BatchPlan): Promise<Extract<ReadLabels, { kind: 'labels' }>['labels'] | null> {
    const { id, metadata } = plan.manifest;
    const file = labelsFileOf(metadata);
    if (file === null) return null;
    const drawn = new Set<string>();
    for await (const { line } of this.#lines.read(plan, { from: 0, to: plan.total })) drawn.add(line.custom_id ?? '');
    const read = await readLabels(this.#options.storage, file, drawn);
    if (read.kind === 'errors') throw new Error(`The labels of ${id} cannot be read again (${file})`);
    return read.labels;
  }

  #drop(batch: string): void {
    this.#waiting.delete(batch);
    this.#batchOf.delete(sampleIdOf(batch));
    this.#due.drop(batch);
  }
}

/** Opens a validated batch for enqueueing; the rules of its cascades go to Redis, where workers read them. */
export async function openPlan(redis: RedisStore, plan: BatchPlan): ReturnType<typeof open> {
  const { manifest, total, pages, model, validatedAtMs, cascades, copies } = plan;
  const facts = { total, pages: pages.length, model, inProgressAtMs: validatedAtMs, copies: copies?.count ?? null };
  return await open(redis, manifest.id, facts, cascades);
}
