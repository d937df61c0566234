import { repeat, type Log, type Meters } from '@spillway/runtime';
import type { Room, Storage } from './storage.ts';

/** Looking costs a small file that is removed at once. */
const LOOK_MS = 2_000;

/** What was seen so long ago is not how it is now: storage hangs, or is away. */
const MAX_AGE_MS = 30_000;

/** Whether storage has room, looked at again and again: one line of the log says when it has none, one when it has again. */
export class RoomWatch {
  readonly #storage: Storage;
  readonly #log: Log;
  #room: Room = 'enough';
  #freeShare: number | null = null;
  #lookedAtMs = Number.NEGATIVE_INFINITY;

  constructor({ storage, log }: { readonly storage: Storage; readonly log: Log }) {
    this.#storage = storage;
    this.#log = log;
  }

  /** Nothing can be written; what stands is read, and deleting works. */
  get isFull(): boolean {
    return this.#room === 'full';
  }

  /** It is full, or was for somebody's write within the last hour: whatever may be taken away is taken away soon. */
  get isShort(): boolean {
    return this.#room !== 'enough';
  }

  /** Shows in the metrics how full storage is; nothing while nobody knows. */
  show(meters: Meters): void {
    const isKnown = (): boolean => performance.now() - this.#lookedAtMs < MAX_AGE_MS;
    meters.gauge('cascade.storage.full', () => (isKnown() ? [[this.isFull ? 1 : 0, {}]] : []));
    meters.gauge('cascade.storage.free', () => (isKnown() && this.#freeShare !== null ? [[this.#freeShare, {}]] : []));
  }

  async watch(signal: AbortSignal): Promise<void> {
    const look = async (): Promise<boolean> => {
      await this.look();
      return false;
    };
    // Whoever reads or writes meets what is wrong with storage otherwise, and says so.
    await repeat(look, { idleMs: LOOK_MS, signal, onError: () => undefined });
  }

  async look(): Promise<void> {
    const room = await this.#storage.room();
    this.#freeShare = await this.#storage.freeShare().catch(() => null);
    this.#lookedAtMs = performance.now();
    const wasFull = this.isFull;
    this.#room = room;
    if (this.isFull && !wasFull) this.#log.error('storage is full: nothing can be written until there is room');
    if (!this.isFull && wasFull) this.#log.info('storage has room again');
  }
}
