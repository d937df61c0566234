import { backoffMs, KEYS, RECORD_VERSION, RECORDS, webhookBody, webhookEvent } from '@spillway/core';
import type { Log } from '@spillway/runtime';
import { createRecord, walkKeys, type Records, type Storage } from '@spillway/storage';
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

type Event = { readonly id: string; readonly text: string; readonly endedAtMs: number };

/** A webhook that was not taken yet. */
type Delivery = {
  readonly batch: string;
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

/** Sends the operator's webhooks about ended batches, at least once each, whatever dies or is wiped. */
export class Webhooks {
  readonly #options: WebhooksOptions;
  readonly #deliveries = new Map<string, Delivery[]>();
  /** Batches that this process ends, until their final record stands. */
  readonly #marked = new Set<string>();
  readonly #underWay = new Set<Promise<void>>();

  constructor(options: WebhooksOptions) {
    this.#options = options;
  }

  /** Notes that a batch is about to end. Called before its final record: whoever leads next finds the mark. */
  async mark(batch: string): Promise<void> {
    if (this.#options.targets.length === 0) return;
    await this.#options.storage.create(KEYS.hookMark(batch), Buffer.from('{}'));
    this.#marked.add(batch);
  }

  /** Reads the marks that earlier leaders left. */
  async readMarks(): Promise<void> {
    if (this.#options.targets.length === 0) return;
    for await (const keys of walkKeys(this.#options.storage, KEYS.hookMarks)) {
      for (const key of keys) await this.#prepareOrWait(key.slice(KEYS.hookMarks.length));
    }
  }

  /** Begins to send what is due, without waiting for it. */
  async sendDue(signal: AbortSignal): Promise<void> {
    for (const batch of this.#marked) await this.#prepareOrWait(batch);
    const now = Date.now();
    const all = [...this.#deliveries.values()].flat();
    for (const delivery of all) {
      if (this.#underWay.size >= MAX_UNDER_WAY) break;
      if (delivery.isUnderWay || delivery.nextAtMs > now) continue;
      const sameTarget = all.filter((other) => other.isUnderWay && other.target === delivery.target);
      if (sameTarget.length < MAX_UNDER_WAY_PER_TARGET) this.#start(delivery, signal);
    }
  }

  /** Waits until nothing is under way. Whoever leads next finds the marks. */
  async stop(): Promise<void> {
    await Promise.all(this.#underWay);
    this.#deliveries.clear();
    this.#marked.clear();
  }

  /** A batch whose records cannot be read holds up no other's webhooks. */
  async #prepareOrWait(batch: string): Promise<void> {
    await runStep(this.#options.failures, { batch, step: 'webhooks' }, () => this.#prepare(batch));
  }

  /** Makes the deliveries of a batch that has ended. */
  async #prepare(batch: string): Promise<void> {
    const { storage, records, targets } = this.#options;
    if (this.#deliveries.has(batch)) return void this.#marked.delete(batch);
    const [manifest, final] = await Promise.all([records.manifest(batch), records.final(batch)]);
    if (manifest === null) return await storage.remove(KEYS.hookMark(batch));
    // The batch has not ended yet.
    if (final === null) return;
    this.#marked.delete(batch);
    const { outcome, endedAtMs } = final;
    const event = { ...webhookBody(batch, outcome, endedAtMs), endedAtMs };
    const wanted = targets.filter(
      ({ events, tenants }) =>
        events.includes(webhookEvent(outcome)) && (tenants === null || tenants.includes(manifest.tenant)),
    );
    const done = await Promise.all(wanted.map(({ name }) => storage.size(KEYS.hookDone(batch, name))));
    const deliveries = wanted
      .filter((_, index) => done[index] === null)
      .map((target): Delivery => ({ batch, target, event, failures: 0, nextAtMs: 0, isUnderWay: false }));
    if (deliveries.length === 0) return await storage.remove(KEYS.hookMark(batch));
    // The loop of the sweep and that of the webhooks may have read the same mark at once.
    if (!this.#deliveries.has(batch)) this.#deliveries.set(batch, deliveries);
  }

  #start(delivery: Delivery, signal: AbortSignal): void {
    const { log } = this.#options;
    delivery.isUnderWay = true;
    const work = this.#deliver(delivery, signal)
      .catch((error: unknown) => {
        delivery.nextAtMs = Date.now() + webhookBackoffMs(1, Math.random());
        log.warn({ err: error, batch: delivery.batch }, 'a webhook could not be written down and is sent again');
      })
      .finally(() => {
        delivery.isUnderWay = false;
        this.#underWay.delete(work);
      });
    this.#underWay.add(work);
  }

  async #deliver(delivery: Delivery, signal: AbortSignal): Promise<void> {
    const { log } = this.#options;
    const { batch, target, event } = delivery;
    const problem = await sendWebhook(target, event, signal);
    if (signal.aborted && problem !== null) return;
    const now = Date.now();
    const fields = { batch, webhook: target.name, event: event.id };
    if (problem === null) {
      await this.#finish(delivery, 'taken');
      log.info(fields, 'webhook taken');
    } else if (now - event.endedAtMs >= GIVEN_UP_AFTER_MS) {
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
    const { batch, target } = delivery;
    const record = { v: RECORD_VERSION, outcome, atMs: Date.now() } as const;
    await createRecord(storage, KEYS.hookDone(batch, target.name), RECORDS.hookDone, record);
    const left = (this.#deliveries.get(batch) ?? []).filter((other) => other !== delivery);
    if (left.length > 0) return void this.#deliveries.set(batch, left);
    await storage.remove(KEYS.hookMark(batch));
    this.#deliveries.delete(batch);
  }
}
