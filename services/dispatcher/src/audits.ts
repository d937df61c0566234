import {
  alarmedCascades,
  auditsOf,
  KEYS,
  newAlarms,
  RECORD_VERSION,
  RECORDS,
  tightenedRules,
  withEntries,
  withRecord,
  type AuditEntry,
  type Audits,
  type AuditsWritten,
} from '@spillway/core';
import {
  auditedBatches,
  dropIdleAudits,
  dropOutcomes,
  keepAudits,
  readOutcomes,
  type KeptAudits,
  type Queues,
  type RedisStore,
} from '@spillway/redis';
import type { Log, Meters } from '@spillway/runtime';
import { createRecord, type BatchPlan, type Records, type RoomWatch, type Storage } from '@spillway/storage';
import type { LiveBatches } from './live-batches.ts';
import { OneByOne } from './one-by-one.ts';
import type { Outlines } from './outlines.ts';
import { runStep, type StepFailures } from './step-failures.ts';
import type { Webhooks } from './webhooks/webhooks.ts';

/** Outcomes are written down when there are so many, when an alarm depends on them, and no later than after this. */
const WRITTEN_AT = 100;
const WRITTEN_AFTER_MS = 10_000;

/** How often it is looked for audits that nobody waits for any more. */
const IDLE_MS = 5_000;

export type AuditRecorderOptions = {
  readonly redis: RedisStore;
  readonly queues: Queues;
  readonly storage: Storage;
  readonly records: Records;
  readonly room: Pick<RoomWatch, 'isFull'>;
  readonly failures: StepFailures;
  readonly webhooks: Pick<Webhooks, 'tellPromiseAtRisk'>;
  readonly live: Pick<LiveBatches, 'get'>;
  readonly outlines: Pick<Outlines, 'tiers'>;
  readonly meters: Meters;
  readonly log: Log;
};

/** The audits of a batch as they are written down. */
type Recorded = {
  readonly audits: Audits;
  readonly records: number;
  readonly seen: Set<number>;
  /** Since when outcomes wait to be written down; null: none does. */
  readonly sinceMs: number | null;
  /** Its alarms were told, and its rules are as they say. */
  readonly isTold: boolean;
};

const hasAudits = ({ cascades }: Pick<BatchPlan, 'cascades'>): boolean =>
  Object.values(cascades).some(({ audit }) => audit !== undefined);

/**
 * Writes down the batches' audits. Workers say in Redis what came of each; here it goes to numbered records in storage,
 * which are what counts: an audit that is lost before, with its job or with its outcome, is one that is not done. An
 * alarm is part of the record whose audits raised it. Then it is told and, if the cascade says so, the batch's rules are
 * tightened, which whoever leads next does again from the records.
 */
export class AuditRecorder {
  readonly #options: AuditRecorderOptions;
  readonly #recorded = new Map<string, Recorded>();
  /** Batches of which Redis could not keep what is written down, as it was recovering. */
  readonly #unkept = new Set<string>();
  readonly #work = new OneByOne();
  readonly #tiers = new Set<string>();
  #idleMs = 0;

  constructor(options: AuditRecorderOptions) {
    this.#options = options;
  }

  note(id: string, batch: object | null): void {
    if (batch !== null) return;
    this.#recorded.delete(id);
    this.#unkept.delete(id);
  }

  /** Takes the outcomes that came in; false, as there is nothing more to do at once. */
  async lookSome(): Promise<false> {
    const { redis, records, room, live, failures } = this.#options;
    if (room.isFull) return false;
    for (const batch of new Set([...(await auditedBatches(redis)), ...this.#unkept])) {
      // What a lost Redis brought back of a batch that has ended is nobody's.
      if (live.get(batch) === undefined) continue;
      await runStep(failures, { batch, step: 'audit' }, async () => {
        const plan = await records.plan(batch);
        if (plan !== null) await this.#work.run(() => this.#take(plan, false));
      });
    }
    await this.#dropIdle();
    return false;
  }

  /** Writes down what is left of an ended batch's audits; what they came to, undefined where it has none. */
  async finish(plan: BatchPlan): Promise<Audits | undefined> {
    if (!hasAudits(plan)) return undefined;
    return await this.#work.run(async () => {
      while ((await this.#take(plan, true)) > 0);
      return (await this.#recordedOf(plan)).audits;
    });
  }

  /** What a recovery puts back of a batch's audits. Its alarms are told, if whoever wrote them down did not get so far. */
  async restored(plan: BatchPlan): Promise<KeptAudits> {
    if (!hasAudits(plan)) return { audits: {}, tightened: null };
    return await this.#work.run(async () => {
      this.#recorded.delete(plan.manifest.id);
      const { audits } = await this.#recordedOf(plan);
      if (alarmedCascades(audits).length > 0) await this.#tell(plan.manifest.id);
      // Many batches may be recovered at once, of which nothing may come in for long.
      this.#recorded.delete(plan.manifest.id);
      return { audits, tightened: tightenedOf(plan, audits) };
    });
  }

  /** Takes some outcomes of a batch; answers how many may be left. */
  async #take(plan: BatchPlan, isLast: boolean): Promise<number> {
    const { redis } = this.#options;
    const { id } = plan.manifest;
    const [known, outcomes] = [await this.#recordedOf(plan), await readOutcomes(redis, id)];
    const fresh = freshOf(outcomes.entries, known.seen);
    const audits = withEntries(known.audits, fresh, plan.cascades);
    const alarms = newAlarms(audits);
    const sinceMs = known.sinceMs ?? Date.now();
    const isLate = fresh.length >= WRITTEN_AT || Date.now() - sinceMs >= WRITTEN_AFTER_MS;
    if (!isLast && !isLate && alarms.length === 0 && fresh.length > 0) {
      this.#recorded.set(id, { ...known, sinceMs });
      await this.#keep(plan, { ...known, audits });
      return outcomes.texts.length;
    }
    const written = fresh.length === 0 ? known : await this.#write(plan, known, { entries: fresh, alarms });
    // Somebody else wrote that number: what he wrote is read first.
    if (written === null) return outcomes.texts.length;
    await this.#keep(plan, written);
    return outcomes.texts.length === 0 ? 0 : await dropOutcomes(redis, id, outcomes);
  }

  /** Writes the next record of a batch; null: another one has its number, and they are to be read again. */
  async #write(
    plan: BatchPlan,
    known: Recorded,
    { entries, alarms }: Omit<AuditsWritten, 'atMs'>,
  ): Promise<Recorded | null> {
    const { storage, meters, log } = this.#options;
    const { id } = plan.manifest;
    const record = { v: RECORD_VERSION, atMs: Date.now(), entries: [...entries], alarms: [...alarms] } as const;
    const { kind } = await createRecord(storage, KEYS.audit(id, known.records), RECORDS.audit, record);
    if (kind === 'exists') {
      this.#recorded.delete(id);
      return null;
    }
    for (const { cascade, outcome } of entries) {
      meters.count('cascade.audits', 1, { cascade, outcome: outcome === 'unanswered' ? 'not_done' : outcome });
    }
    const audits = withRecord(known.audits, record, plan.cascades);
    for (const cascade of alarms) {
      const { audits: done = 0, disagreements = 0 } = audits[cascade]?.audit ?? {};
      const { onAlarm = 'report' } = plan.cascades[cascade]?.audit ?? {};
      log.warn({ batch: id, cascade, audits: done, disagreements, onAlarm }, 'too many accepted drafts disagree');
    }
    for (const { document } of entries) known.seen.add(document);
    const isTold = known.isTold && alarms.length === 0;
    const next = { ...known, audits, records: known.records + 1, sinceMs: null, isTold };
    this.#recorded.set(id, next);
    return next;
  }

  /** Shows what the audits came to, and does what their alarms ask for. */
  async #keep(plan: BatchPlan, { audits, isTold }: Recorded): Promise<void> {
    const { redis } = this.#options;
    const { id } = plan.manifest;
    if (!isTold) await this.#tell(id);
    const answer = await keepAudits(redis, id, { audits, tightened: tightenedOf(plan, audits) });
    if (answer === 'RECOVERING') this.#unkept.add(id);
    else this.#unkept.delete(id);
  }

  async #tell(batch: string): Promise<void> {
    await this.#options.webhooks.tellPromiseAtRisk(batch, Date.now());
    const known = this.#recorded.get(batch);
    if (known !== undefined) this.#recorded.set(batch, { ...known, isTold: true });
  }

  async #recordedOf(plan: BatchPlan): Promise<Recorded> {
    const { id } = plan.manifest;
    const known = this.#recorded.get(id);
    if (known !== undefined) return known;
    const records = await this.#options.records.audits(id);
    const seen = new Set<number>();
    for (const { entries } of records) for (const { document } of entries) seen.add(document);
    const audits = auditsOf(records, plan.cascades);
    const isTold = alarmedCascades(audits).length === 0;
    const read: Recorded = { audits, records: records.length, seen, sinceMs: null, isTold };
    this.#recorded.set(id, read);
    return read;
  }

  async #dropIdle(): Promise<void> {
    const { redis, queues, outlines, log } = this.#options;
    if (performance.now() - this.#idleMs < IDLE_MS) return;
    this.#idleMs = performance.now();
    for (const tier of outlines.tiers()) this.#tiers.add(tier);
    for (const tier of this.#tiers) {
      const dropped = await dropIdleAudits(redis, queues, tier);
      if (dropped > 0) log.debug({ tier, dropped }, 'dropped audits that nobody waits for');
    }
  }
}

/** Those of which nothing is written down yet, each document once: a loss of Redis may bring back what is. */
function freshOf(entries: readonly AuditEntry[], seen: ReadonlySet<number>): AuditEntry[] {
  const own = new Set<number>();
  return entries.filter(({ document }) => {
    if (seen.has(document) || own.has(document)) return false;
    own.add(document);
    return true;
  });
}

/** The rules that hold once these alarms are written down; null: those of the manifest. */
function tightenedOf({ cascades }: BatchPlan, audits: Audits): KeptAudits['tightened'] {
  const tight = alarmedCascades(audits)
    .filter((name) => cascades[name]?.audit?.onAlarm === 'tighten')
    .toSorted();
  return tight.length === 0 ? null : { version: tight.join(' '), rules: tightenedRules(cascades, tight) };
}
