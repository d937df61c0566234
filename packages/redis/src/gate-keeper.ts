import { afterRefusal, gateBackoffMs, isRefusedForItself, type DocumentJob, type GateCall } from '@spillway/core';
import type { Life } from '@spillway/runtime';
import type { Board } from './board.ts';
import { closeGate, leaveTry, openGate } from './gate.ts';
import type { Pace } from './pace.ts';

/** A document about which the model is asked. */
export type Asking = {
  /** Until when it tries a server whose gate is closed; null: the gate was open. */
  readonly tryUntilMs: number | null;
  /** On the clock that never goes back. */
  readonly startedAtMs: number;
  /** The server showed that it works. */
  heard: boolean;
};

/** What becomes of a document whose call says that it is not its fault: next in line again, or later and as changed. */
export type Held =
  | { readonly kind: 'put_back' }
  | { readonly kind: 'later'; readonly afterMs: number; readonly job: DocumentJob };

export type GateKeeperOptions = {
  readonly queue: string;
  /** The model server is this worker's own: while it is down only this worker waits. */
  readonly sidecar: boolean;
  readonly life: Life;
};

/** An answer: about which document, and when, on the clock that never goes back and in Unix milliseconds. */
type Heard = { readonly of: Asking | null; readonly atMs: number; readonly unixMs: number };

const NOTHING: Heard = { of: null, atMs: -1, unixMs: 0 };

/** What a worker makes of what its model server says of itself: closes and opens the gate, and sets its own pace. */
export class GateKeeper {
  readonly #board: Board;
  readonly #pace: Pace;
  readonly #options: GateKeeperOptions;
  /** The last answer, and the last one about another document than that. */
  #heard = NOTHING;
  #heardBefore = NOTHING;

  constructor(board: Board, pace: Pace, options: GateKeeperOptions) {
    this.#board = board;
    this.#pace = pace;
    this.#options = options;
  }

  /** The server answered a call: what is closed opens. */
  heard(asking: Asking): void {
    asking.heard = true;
    if (this.#heard.of !== asking) this.#heardBefore = this.#heard;
    this.#heard = { of: asking, atMs: performance.now(), unixMs: Date.now() };
    this.#pace.answered();
    if (asking.tryUntilMs === null && !this.#pace.isAtGate) return;
    this.#open().catch((error: unknown) =>
      this.#options.life.log.debug({ err: error, queue: this.#options.queue }, 'the gate was not opened'),
    );
  }

  /** A call that was to try the server was given up, or not made at all: another one may. */
  async leave({ tryUntilMs, heard }: Asking): Promise<void> {
    if (tryUntilMs !== null && !heard) await leaveTry(this.#board, this.#options.queue, tryUntilMs);
  }

  /** A call failed by a document's try (a 5xx, a reset, a time-out); one that was to try the server says: not yet. */
  async failed(asking: Asking): Promise<void> {
    if (asking.tryUntilMs === null || asking.heard) return;
    await this.#close({ reason: 'a call that tried the model server failed', toldMs: null }, asking.startedAtMs);
  }

  /** The server is down, asks to wait, or takes no more. */
  async refused(call: GateCall, data: DocumentJob, asking: Asking): Promise<Held> {
    if (call.says === 'down') {
      await this.#heed(call, asking);
      return { kind: 'put_back' };
    }
    const refused = afterRefusal(data, this.#others(asking).unixMs, Date.now());
    const isOwn = isRefusedForItself(refused);
    if (isOwn) await this.leave(asking);
    const waitMs = isOwn ? (call.toldMs ?? 0) : await this.#heed(call, asking);
    // Not the next one in line: others may be taken where this one is not.
    return { kind: 'later', afterMs: waitMs + gateBackoffMs(refused.times, Math.random()), job: { ...data, refused } };
  }

  /** The last answer about another document. */
  #others(asking: Asking): Heard {
    return this.#heard.of === asking ? this.#heardBefore : this.#heard;
  }

  /** Slows down where the server takes no more, closes the gate where it is down. The ms that the gate stays closed. */
  async #heed(call: GateCall, asking: Asking): Promise<number> {
    const { startedAtMs, tryUntilMs } = asking;
    const { says, reason, toldMs } = call;
    const works = says === 'limited' || this.#others(asking).atMs > startedAtMs;
    if (tryUntilMs !== null) {
      // A call that was alone says nothing of how many the server takes.
      if (!works || toldMs !== null) return await this.#close(call, startedAtMs);
      await this.#open();
      return 0;
    }
    // A server that is full may say so with a 503 before anybody was answered: it is asked less and soon tried.
    const isLowered = says === 'down' || this.#pace.lower(startedAtMs);
    if (!works || toldMs !== null) return await this.#rest(call, startedAtMs);
    if (!isLowered) await this.#pace.restAlone('full', reason, null, startedAtMs);
    return 0;
  }

  /** This worker rests, or all where the server is theirs too. */
  async #rest(call: GateCall, startedAtMs: number): Promise<number> {
    if (!this.#options.sidecar) return await this.#close(call, startedAtMs);
    const why = call.says === 'limited' ? 'full' : 'down';
    if (await this.#pace.restAlone(why, call.reason, call.toldMs, startedAtMs)) this.#tell(call.reason, null);
    return 0;
  }

  async #close(call: Pick<GateCall, 'reason' | 'toldMs'>, startedAtMs: number): Promise<number> {
    const ageMs = performance.now() - startedAtMs;
    const { waitMs, closings } = await closeGate(this.#board, this.#options.queue, call, ageMs);
    if (closings > 0) this.#tell(call.reason, { waitMs, closings });
    if (waitMs > 0) await this.#pace.restAtGate(waitMs);
    return waitMs;
  }

  async #open(): Promise<void> {
    const { queue, life } = this.#options;
    const now = await openGate(this.#board, queue);
    if (now === 'OPENED') life.log.info({ queue }, 'the gate is open');
    if (now !== 'WAIT' && this.#pace.isAtGate) this.#pace.wake();
  }

  /** Once for the first closing in a row; the metric counts them all. */
  #tell(reason: string, gate: { readonly waitMs: number; readonly closings: number } | null): void {
    const { queue, life } = this.#options;
    life.telemetry.meters.count('cascade.gate.closings', 1, { queue });
    const slots = this.#pace.slots;
    if (gate === null) life.log.warn({ queue, reason, slots }, 'this worker waits for its model server');
    else if (gate.closings === 1) life.log.warn({ queue, reason, waitMs: gate.waitMs, slots }, 'the gate is closed');
  }
}
