import { KEYS, RECORDS, webhookBody, webhookEvent, webhookPauseMs } from '@spillway/core';
import type { Log } from '@spillway/runtime';
import { createRecord, readRecord, walkKeys, type Storage } from '@spillway/storage';
import { apart, type Desk, type Troubles } from '../desk.ts';
import { sendHook } from './send.ts';
import type { HookTarget } from './target.ts';

/** Webhooks under way at once, and to one target: a slow one holds up no other. */
const AT_ONCE = 32;
const AT_ONCE_PER_TARGET = 4;
/** A target that takes nothing for so long is given up. */
const TRIED_FOR_MS = 86_400_000;

type Event = { readonly id: string; readonly text: string; readonly endedAtMs: number };

/** A webhook that was not taken yet. */
type Delivery = {
  readonly batch: string;
  readonly target: HookTarget;
  readonly event: Event;
  failures: number;
  nextAtMs: number;
  isUnderWay: boolean;
};

/** Tells the operator's webhooks of ended batches, at least once each, whatever dies or is wiped. */
export class Hooks {
  readonly #storage: Storage;
  readonly #targets: readonly HookTarget[];
  readonly #troubles: Troubles;
  readonly #log: Log;
  readonly #deliveries = new Map<string, Delivery[]>();
  /** Batches that are ending here, until their final record stands. */
  readonly #marked = new Set<string>();
  readonly #underWay = new Set<Promise<void>>();

  constructor(targets: readonly HookTarget[], shared: Pick<Desk, 'storage' | 'troubles' | 'log'>) {
    this.#targets = targets;
    this.#storage = shared.storage;
    this.#troubles = shared.troubles;
    this.#log = shared.log;
  }

  /** Notes that a batch is about to end. Called before its final record: whoever leads next finds the mark. */
  async mark(batch: string): Promise<void> {
    if (this.#targets.length === 0) return;
    await this.#storage.create(KEYS.hookMark(batch), Buffer.from('{}'));
    this.#marked.add(batch);
  }

  /** Takes in the marks of those who led before. */
  async look(): Promise<void> {
    if (this.#targets.length === 0) return;
    for await (const keys of walkKeys(this.#storage, KEYS.hookMarks)) {
      for (const key of keys) await this.#tryToTakeIn(key.slice(KEYS.hookMarks.length));
    }
  }

  /** Sends what is due, without waiting for it; never busy. */
  async turn(signal: AbortSignal): Promise<boolean> {
    for (const batch of this.#marked) await this.#tryToTakeIn(batch);
    const now = Date.now();
    const all = [...this.#deliveries.values()].flat();
    for (const delivery of all) {
      if (this.#underWay.size >= AT_ONCE) break;
      if (delivery.isUnderWay || delivery.nextAtMs > now) continue;
      const same = all.filter((one) => one.isUnderWay && one.target === delivery.target);
      if (same.length < AT_ONCE_PER_TARGET) this.#start(delivery, signal);
    }
    return false;
  }

  /** Until nothing is under way. Whoever leads next finds the marks. */
  async stop(): Promise<void> {
    await Promise.all(this.#underWay);
    this.#deliveries.clear();
    this.#marked.clear();
  }

  /** A batch whose records cannot be read holds up no other's webhooks. */
  async #tryToTakeIn(batch: string): Promise<void> {
    await apart({ troubles: this.#troubles, log: this.#log }, batch, 'webhooks', () => this.#takeIn(batch));
  }

  async #takeIn(batch: string): Promise<void> {
    if (this.#deliveries.has(batch)) return void this.#marked.delete(batch);
    const [manifest, final] = await Promise.all([
      readRecord(this.#storage, KEYS.manifest(batch), RECORDS.manifest),
      readRecord(this.#storage, KEYS.final(batch), RECORDS.final),
    ]);
    if (manifest === null) return await this.#storage.remove(KEYS.hookMark(batch));
    // It has not ended yet.
    if (final === null) return;
    this.#marked.delete(batch);
    const { outcome, endedAtMs } = final;
    const event = { ...webhookBody(batch, outcome, endedAtMs), endedAtMs };
    const wanted = this.#targets.filter(
      ({ events, tenants }) =>
        events.includes(webhookEvent(outcome)) && (tenants === null || tenants.includes(manifest.tenant)),
    );
    const done = await Promise.all(wanted.map(({ name }) => this.#storage.size(KEYS.hookDone(batch, name))));
    const deliveries = wanted
      .filter((_, index) => done[index] === null)
      .map((target): Delivery => ({ batch, target, event, failures: 0, nextAtMs: 0, isUnderWay: false }));
    if (deliveries.length === 0) return await this.#storage.remove(KEYS.hookMark(batch));
    // Another look may have been faster.
    if (!this.#deliveries.has(batch)) this.#deliveries.set(batch, deliveries);
  }

  #start(delivery: Delivery, signal: AbortSignal): void {
    delivery.isUnderWay = true;
    const work = this.#deliver(delivery, signal)
      .catch((error: unknown) => {
        delivery.nextAtMs = Date.now() + webhookPauseMs(1, Math.random());
        this.#log.warn({ err: error, batch: delivery.batch }, 'a webhook could not be written down and is sent again');
      })
      .finally(() => {
        delivery.isUnderWay = false;
        this.#underWay.delete(work);
      });
    this.#underWay.add(work);
  }

  async #deliver(delivery: Delivery, signal: AbortSignal): Promise<void> {
    const { batch, target, event } = delivery;
    const problem = await sendHook(target, event, signal);
    if (signal.aborted && problem !== null) return;
    const now = Date.now();
    const fields = { batch, webhook: target.name, event: event.id };
    if (problem === null) {
      await this.#finish(delivery, 'taken');
      this.#log.info(fields, 'webhook taken');
    } else if (now - event.endedAtMs >= TRIED_FOR_MS) {
      await this.#finish(delivery, 'given_up');
      this.#log.error({ ...fields, problem }, 'webhook given up after a day');
    } else {
      delivery.failures += 1;
      delivery.nextAtMs = now + webhookPauseMs(delivery.failures, Math.random());
      const nextS = Math.round((delivery.nextAtMs - now) / 1000);
      this.#log.warn({ ...fields, problem, nextS }, 'webhook not taken, and sent again');
    }
  }

  async #finish(delivery: Delivery, outcome: 'taken' | 'given_up'): Promise<void> {
    const { batch, target } = delivery;
    const record = { v: 1 as const, outcome, atMs: Date.now() };
    await createRecord(this.#storage, KEYS.hookDone(batch, target.name), RECORDS.hookDone, record);
    const left = (this.#deliveries.get(batch) ?? []).filter((one) => one !== delivery);
    if (left.length > 0) return void this.#deliveries.set(batch, left);
    await this.#storage.remove(KEYS.hookMark(batch));
    this.#deliveries.delete(batch);
  }
}
