import {
  addNote,
  askedWork,
  Heap,
  isAtRisk,
  nextNoteAtMs,
  noteOf,
  pageOfDocument,
  stagesIn,
  stageTier,
} from '@spillway/core';
import {
  keepNotes,
  readBatch,
  readShortage,
  redisNowMs,
  writeShortage,
  type BatchState,
  type Queues,
  type RedisStore,
  type Shortage,
} from '@spillway/redis';
import type { Log } from '@spillway/runtime';
import type { BatchPlan, Records, RoomWatch } from '@spillway/storage';
import type { Enqueuer } from './enqueue.ts';
import type { LiveBatch } from './live-batches.ts';
import { runStep, type StepFailures } from './step-failures.ts';
import type { Webhooks } from './webhooks/webhooks.ts';

/** Batches of which notes are taken in one pass, each some reads of Redis. With more at work each is noted less often. */
const MAX_BATCHES = 100;

/** A batch that could not be noted, and one of which nothing is enqueued, is looked at again after this. */
const AGAIN_MS = 1_000;
const IDLE_MS = 60_000;

/** Of a batch that nothing of was enqueued there is something to say when this part of its window is over. */
const IDLE_SHARE = 0.5;

export type ProgressOptions = {
  readonly redis: RedisStore;
  readonly queues: Queues;
  readonly records: Records;
  readonly room: Pick<RoomWatch, 'isFull'>;
  readonly failures: StepFailures;
  readonly webhooks: Pick<Webhooks, 'tellAtRisk'>;
  readonly enqueuer: Pick<Enqueuer, 'lacking'>;
  readonly log: Log;
};

type Due = { readonly id: string; readonly atMs: number };

/** How far a batch is in those documents that are asked about. */
function askedIn({ total, enqueued, counts }: BatchState, { copies, pages }: BatchPlan) {
  const { completed, failed, copied = 0, kept = 0 } = counts;
  const done = { total, enqueued, settled: completed + failed, copied, kept };
  return askedWork(done, copies, (document) => pageOfDocument(pages, document));
}

/**
 * Takes notes of how far the open batches are, from which the API says how long they still take, tells of those whose
 * window is at risk, and says for which tiers pages wait. All of it costs nothing per document, and little per batch.
 */
export class ProgressNotes {
  readonly #options: ProgressOptions;
  readonly #due = new Heap<Due>((left, right) => left.atMs < right.atMs);
  /** When each open batch is looked at next. */
  readonly #nextMs = new Map<string, number>();
  /** Those of which something was enqueued. */
  readonly #begun = new Set<string>();
  /** Those that were told of. */
  readonly #told = new Set<string>();
  #shortage: Shortage | null = null;

  constructor(options: ProgressOptions) {
    this.#options = options;
  }

  note(id: string, batch: LiveBatch | null): void {
    if (batch?.phase !== 'open') {
      this.#nextMs.delete(id);
      for (const set of [this.#begun, this.#told]) set.delete(id);
      return;
    }
    const isBegun = batch.enqueued > 0 || batch.settled > 0;
    if (isBegun && !this.#begun.has(id)) {
      this.#begun.add(id);
      this.#lookAt(id, 0);
    } else if (!isBegun && !this.#nextMs.has(id)) {
      const { createdAtMs, expiresAtMs } = batch;
      this.#lookAt(id, createdAtMs + IDLE_SHARE * (expiresAtMs - createdAtMs));
    }
  }

  /** Takes notes of those batches that are due; there is never more to do at once. */
  async noteSome(): Promise<false> {
    const { redis, failures } = this.#options;
    const nowMs = await redisNowMs(redis);
    const depths = new Map<string, Promise<number>>();
    for (const id of this.#takeDue(nowMs)) {
      const nextMs = await runStep(failures, { batch: id, step: 'progress' }, () => this.#noteOne(id, nowMs, depths));
      // It may have ended meanwhile.
      if (this.#nextMs.has(id)) this.#lookAt(id, nextMs ?? nowMs + AGAIN_MS);
    }
    await this.#sayShortage(nowMs);
    return false;
  }

  #lookAt(id: string, atMs: number): void {
    this.#nextMs.set(id, atMs);
    this.#due.push({ id, atMs });
  }

  #takeDue(nowMs: number): string[] {
    const taken: string[] = [];
    for (let next = this.#due.peek(); next !== undefined && next.atMs <= nowMs; next = this.#due.peek()) {
      if (taken.length === MAX_BATCHES) break;
      this.#due.pop();
      if (this.#nextMs.get(next.id) === next.atMs) taken.push(next.id);
    }
    return taken;
  }

  /** Answers when the batch is to be looked at next; null: soon. */
  async #noteOne(id: string, nowMs: number, depths: Map<string, Promise<number>>): Promise<number | null> {
    const { redis, records } = this.#options;
    const state = await readBatch(redis, id);
    if (state?.phase !== 'open') return null;
    const plan = this.#begun.has(id) ? await records.plan(id) : null;
    let { notes } = state;
    if (plan !== null && nowMs >= nextNoteAtMs(notes)) {
      const { counts } = state;
      const { enqueued } = askedIn(state, plan);
      const queued = await this.#queued(plan, depths);
      notes = addNote(notes, noteOf({ enqueued, counts, cascades: plan.cascades, queued }, nowMs));
      if ((await keepNotes(redis, id, notes)) !== 'KEPT') return null;
    }
    await this.#lookAtRisk(id, { ...state, notes }, nowMs);
    return plan === null ? nowMs + IDLE_MS : nextNoteAtMs(notes);
  }

  /** By stage, from 0: how many documents are in the queues of its tiers. Each is counted once in a pass. */
  async #queued({ cascades }: BatchPlan, depths: Map<string, Promise<number>>): Promise<number[]> {
    const { queues } = this.#options;
    const depthOf = (tier: string): Promise<number> => {
      let depth = depths.get(tier);
      if (depth === undefined) {
        depth = queues.documents(tier);
        depths.set(tier, depth);
      }
      return depth;
    };
    const counted = new Set<string>();
    const queued: number[] = [];
    for (let stage = 0; stage < stagesIn(cascades); stage += 1) {
      const reaching = Object.values(cascades).filter(({ stages }) => stage < stages.length);
      // A tier that is a stage of several cascades counts for the first place that it has.
      const tiers = [...new Set(reaching.map((rules) => stageTier(rules, stage)))].filter((tier) => !counted.has(tier));
      for (const tier of tiers) counted.add(tier);
      queued.push((await Promise.all(tiers.map(depthOf))).reduce((sum, one) => sum + one, 0));
    }
    return queued;
  }

  async #lookAtRisk(id: string, state: BatchState, nowMs: number): Promise<void> {
    // What is told is written down first, which needs room.
    if (this.#told.has(id) || this.#options.room.isFull) return;
    const { notes, counts, total, expiresAtMs } = state;
    const settled = counts.completed + counts.failed;
    if (isAtRisk(notes, { ...state, settled }, nowMs) !== true) return;
    // Nobody knows of a sample, which may take a part of the window: told is of its batch, by the whole.
    const { sampleOf } = (await this.#options.records.manifest(id)) ?? {};
    const told = sampleOf ?? id;
    const sampled = sampleOf === undefined ? null : await this.#options.records.manifest(sampleOf);
    const endMs = sampled?.expiresAtMs ?? expiresAtMs;
    if (isAtRisk(notes, { ...state, settled, expiresAtMs: endMs }, nowMs) !== true) return;
    this.#told.add(id);
    const isFirst = await this.#options.webhooks.tellAtRisk(told, nowMs);
    const leftS = Math.round((endMs - nowMs) / 1000);
    if (isFirst) this.#options.log.warn({ batch: told, settled, total, leftS }, 'the window will probably be missed');
  }

  /** Says for which tiers pages wait, and since when. */
  async #sayShortage(nowMs: number): Promise<void> {
    const { redis, enqueuer } = this.#options;
    const { tiers, isMemoryFull } = enqueuer.lacking;
    // A leader before may have said since when.
    const before = this.#shortage ?? (await readShortage(redis));
    const reason = isMemoryFull ? 'Redis has no memory for more' : 'as much as may be is enqueued';
    const now = Object.fromEntries(
      [...tiers].map((tier) => [tier, { sinceMs: before[tier]?.sinceMs ?? nowMs, reason }] as const),
    );
    if (tiers.size > 0 || Object.keys(before).length > 0) await writeShortage(redis, now);
    this.#shortage = now;
  }
}
