import { backoffMs, KEYS, RECORD_VERSION, RECORDS, webhookBody, webhookEvent, type WebhookEvent } from '@spillway/core';
import type { Log } from '@spillway/runtime';
import { createRecord, readRecord, walkKeys, type Records, type Storage } from '@spillway/storage';
import { runStep, type StepFailures } from '../step-failures.ts';
import { sendWebhook } from './send.ts';
import type { WebhookTarget } from './target.ts';

/** Webhooks under way at once, and to one target, so that a slow target holds up no other. */
const MAX_UNDER_WAY = 32;
const MAX_UNDER_WAY_PER_TARGET = 4;
/** A target that takes nothing for so long is given up. */
const GIVEN_UP_AFTER_MS = 86_400_000;

/** How long a webhook that was not taken waits; `failures` counts what failed in a row, `jitter` is 0 to 1. */
export const webhookBackoffMs = (failures: number, jitter: number): number =>
  backoffMs(failures, jitter, { firstMs: 5_000, maxMs: 3_600_000 });

/** What webhooks are sent about: that a batch has ended, or that its window or its promise is at risk. Each has its own marks. */
type Subject = { readonly batch: string; readonly kind: keyof typeof SUBJECTS };

const SUBJECTS = {
  ended: { marks: KEYS.hookMarks, mark: KEYS.hookMark, done: KEYS.hookDone },
  at_risk: { marks: KEYS.riskMarks, mark: KEYS.riskMark, done: KEYS.riskHookDone },
  promise_at_risk: { marks: KEYS.promiseMarks, mark: KEYS.promiseMark, done: KEYS.promiseHookDone },
} as const;

const KINDS = ['ended', 'at_risk', 'promise_at_risk'] as const;

/** What is told of a batch once while it is in work, each by a record of its own. */
const TOLD = {
  at_risk: { key: KEYS.atRisk, schema: RECORDS.atRisk },
  promise_at_risk: { key: KEYS.promiseAtRisk, schema: RECORDS.promiseAtRisk },
} as const;

const markOf = ({ batch, kind }: Subject): string => SUBJECTS[kind].mark(batch);

type Event = { readonly id: string; readonly text: string; readonly atMs: number };

/** A webhook that was not taken yet. */
type Delivery = {
  readonly subject: Subject;
  readonly target: WebhookTarget;
  readonly event: Event;
  failures: number;
  nextAtMs: number;
  isUnderWay: boolean;
};

export type WebhooksOptions = {
  readonly targets: readonly WebhookTarget[];
  readonly storage: Storage;
  readonly records: Records;
  readonly failures: StepFailures;
  readonly log: Log;
};

/** Sends the operator's webhooks about batches, at least once each, whatever dies or is wiped. */
export class Webhooks {
  readonly #options: WebhooksOptions;
  /** By their marks. */
  readonly #deliveries = new Map<string, Delivery[]>();
  /** What this process marked and is not prepared yet: of batches that it ends, until their final record stands. */
  readonly #marked = new Map<string, Subject>();
  readonly #underWay = new Set<Promise<void>>();

  constructor(options: WebhooksOptions) {
    this.#options = options;
  }

  /** Notes that a batch is about to end. Called before its final record: whoever leads next finds the mark. */
  async mark(batch: string): Promise<void> {
    const subject = { batch, kind: 'ended' } as const;
    if (await this.#mark(subject)) this.#marked.set(markOf(subject), subject);
  }

  /**
   * Tells that the window of a batch is at risk, once for a batch: whoever sees it first writes that down, behind the mark,
   * so that nobody tells it again, and whoever leads next goes on sending it. False: it was told before.
   */
  tellAtRisk(batch: string, atMs: number): Promise<boolean> {
    return this.#tell({ batch, kind: 'at_risk' }, atMs);
  }

  /** The same of an audit that has alarmed. */
  tellPromiseAtRisk(batch: string, atMs: number): Promise<boolean> {
    return this.#tell({ batch, kind: 'promise_at_risk' }, atMs);
  }

  async #tell(subject: Subject & { readonly kind: keyof typeof TOLD }, atMs: number): Promise<boolean> {
    const { storage } = this.#options;
    const { key, schema } = TOLD[subject.kind];
    if ((await storage.size(key(subject.batch))) !== null) return false;
    const isMarked = await this.#mark(subject);
    const record = { v: RECORD_VERSION, atMs } as const;
    const { kind } = await createRecord(storage, key(subject.batch), schema, record);
    if (isMarked) this.#marked.set(markOf(subject), subject);
    return kind === 'created';
  }

  /** Reads the marks that earlier leaders left. */
  async readMarks(): Promise<void> {
    if (this.#options.targets.length === 0) return;
    for (const kind of KINDS) {
      const { marks } = SUBJECTS[kind];
      for await (const keys of walkKeys(this.#options.storage, marks)) {
        for (const key of keys) await this.#prepareOrWait({ batch: key.slice(marks.length), kind });
      }
    }
  }

  /** Begins to send what is due, without waiting for it; there is never more to do at once. */
  async sendDue(signal: AbortSignal): Promise<false> {
    for (const subject of this.#marked.values()) await this.#prepareOrWait(subject);
    const now = Date.now();
    const all = [...this.#deliveries.values()].flat();
    for (const delivery of all) {
      if (this.#underWay.size >= MAX_UNDER_WAY) break;
      if (delivery.isUnderWay || delivery.nextAtMs > now) continue;
      const sameTarget = all.filter((other) => other.isUnderWay && other.target === delivery.target);
      if (sameTarget.length < MAX_UNDER_WAY_PER_TARGET) this.#start(delivery, signal);
    }
    return false;
  }

  /** Waits until nothing is under way. Whoever leads next finds the marks. */
  async stop(): Promise<void> {
    await Promise.all(this.#underWay);
    this.#deliveries.clear();
    this.#marked.clear();
  }

  /** False: there is nobody to send it to. */
  async #mark(subject: Subject): Promise<boolean> {
    if (this.#options.targets.length === 0) return false;
    await this.#options.storage.create(markOf(subject), Buffer.from('{}'));
    return true;
  }

  /** A batch whose records cannot be read holds up no other's webhooks. */
  async #prepareOrWait(subject: Subject): Promise<void> {
    const { batch } = subject;
    await runStep(this.#options.failures, { batch, step: 'webhooks' }, () => this.#prepare(subject));
  }

  /** Makes the deliveries of what was marked, once it has come true. */
  async #prepare(subject: Subject): Promise<void> {
    const { storage, records, targets } = this.#options;
    const { batch, kind } = subject;
    const mark = markOf(subject);
    if (this.#deliveries.has(mark)) return void this.#marked.delete(mark);
    const [manifest, happened] = await Promise.all([records.manifest(batch), this.#happened(subject)]);
    if (manifest === null || happened === 'never') return await this.#forget(mark);
    if (happened === null) return;
    this.#marked.delete(mark);
    const { type, atMs } = happened;
    const event = { ...webhookBody(batch, type, atMs), atMs };
    const wanted = targets.filter(
      ({ events, tenants }) => events.includes(type) && (tenants === null || tenants.includes(manifest.tenant)),
    );
    const done = await Promise.all(wanted.map(({ name }) => storage.size(SUBJECTS[kind].done(batch, name))));
    const deliveries = wanted
      .filter((_, index) => done[index] === null)
      .map((target): Delivery => ({ subject, target, event, failures: 0, nextAtMs: 0, isUnderWay: false }));
    if (deliveries.length === 0) return await this.#forget(mark);
    // The loop of the sweep and that of the webhooks may have read the same mark at once.
    if (!this.#deliveries.has(mark)) this.#deliveries.set(mark, deliveries);
  }

  /** What webhooks are to be sent about, and when it was; null: not yet. `never`: whoever marked it got no further. */
  async #happened({ batch, kind }: Subject): Promise<{ type: WebhookEvent; atMs: number } | 'never' | null> {
    const { storage, records } = this.#options;
    if (kind !== 'ended') {
      const { key, schema } = TOLD[kind];
      const record = await readRecord(storage, key(batch), schema);
      if (record !== null) return { type: webhookEvent(kind), atMs: record.atMs };
    }
    const final = await records.final(batch);
    if (final === null) return null;
    return kind === 'ended' ? { type: webhookEvent(final.outcome), atMs: final.endedAtMs } : 'never';
  }

  async #forget(mark: string): Promise<void> {
    this.#marked.delete(mark);
    await this.#options.storage.remove(mark);
  }

  #start(delivery: Delivery, signal: AbortSignal): void {
    const { log } = this.#options;
    delivery.isUnderWay = true;
    const work = this.#deliver(delivery, signal)
      .catch((error: unknown) => {
        delivery.nextAtMs = Date.now() + webhookBackoffMs(1, Math.random());
        log.warn(
          { err: error, batch: delivery.subject.batch },
          'a webhook could not be written down and is sent again',
        );
      })
      .finally(() => {
        delivery.isUnderWay = false;
        this.#underWay.delete(work);
      });
    this.#underWay.add(work);
  }

  async #deliver(delivery: Delivery, signal: AbortSignal): Promise<void> {
    const { log } = this.#options;
    const { subject, target, event } = delivery;
    const problem = await sendWebhook(target, event, signal);
    if (signal.aborted && problem !== null) return;
    const now = Date.now();
    const fields = { batch: subject.batch, webhook: target.name, event: event.id };
    if (problem === null) {
      await this.#finish(delivery, 'taken');
      log.info(fields, 'webhook taken');
    } else if (now - event.atMs >= GIVEN_UP_AFTER_MS) {
      await this.#finish(delivery, 'given_up');
      log.error({ ...fields, problem }, 'webhook given up after a day');
    } else {
      delivery.failures += 1;
      const waitMs = webhookBackoffMs(delivery.failures, Math.random());
      delivery.nextAtMs = now + waitMs;
      log.warn({ ...fields, problem, nextS: Math.round(waitMs / 1000) }, 'webhook not taken, and sent again');
    }
  }

  async #finish(delivery: Delivery, outcome: 'taken' | 'given_up'): Promise<void> {
    const { storage } = this.#options;
    const { subject, target } = delivery;
    const record = { v: RECORD_VERSION, outcome, atMs: Date.now() } as const;
    const done = SUBJECTS[subject.kind].done(subject.batch, target.name);
    await createRecord(storage, done, RECORDS.hookDone, record);
    const mark = markOf(subject);
    const left = (this.#deliveries.get(mark) ?? []).filter((other) => other !== delivery);
    if (left.length > 0) return void this.#deliveries.set(mark, left);
    await storage.remove(mark);
    this.#deliveries.delete(mark);
  }
}
