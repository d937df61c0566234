import {
  afterRefusal,
  gateWaitsMs,
  isRefusedForItself,
  type DocumentJob,
  type GateCall,
  type Refused,
} from '@spillway/core';
import type { Life } from '@spillway/runtime';
import type { Board } from './board.ts';
import { closeGate, leaveTry, openGate } from './gate.ts';
import type { Pace } from './pace.ts';

/** A call for a document that is under way. */
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
  | { readonly kind: 'later'; readonly afterMs: number; job: DocumentJob };

export type GateKeeperOptions = {
  readonly queue: string;
  /** The model server is this worker's own: while it is down only this worker waits. */
  readonly sidecar: boolean;
  readonly life: Life;
};

/** What a worker makes of what its model server says of itself: closes and opens the gate, and sets its own pace. */
export class GateKeeper {
  readonly #board: Board;
  readonly #pace: Pace;
  readonly #options: GateKeeperOptions;
  /** When the server last answered anybody here: on the clock that never goes back, and in Unix milliseconds. */
  #heardAtMs = -1;
  #heardUnixMs = 0;

  constructor(board: Board, pace: Pace, options: GateKeeperOptions) {
    this.#board = board;
    this.#pace = pace;
    this.#options = options;
  }

  /** The server answered a call: what is closed opens. */
  heard(asking: Asking): void {
    asking.heard = true;
    this.#heardAtMs = performance.now();
    this.#heardUnixMs = Date.now();
    this.#pace.answered();
    if (asking.tryUntilMs === null && !this.#pace.isAtGate) return;
    this.#open().catch((error: unknown) =>
      this.#options.life.log.debug({ err: error, queue: this.#options.queue }, 'the gate was not opened'),
    );
  }

  /** A call that was to try the server ended without a word of it: given up, broken off, or not made at all. */
  async ended({ tryUntilMs, heard }: Asking): Promise<void> {
    if (tryUntilMs !== null && !heard) await leaveTry(this.#board, this.#options.queue, tryUntilMs);
  }

  /** The server is down, asks to wait, or takes no more. */
  async refused(call: GateCall, data: DocumentJob, asking: Asking): Promise<Held> {
    if (call.says === 'down') {
      await this.#heed(call, asking);
      return { kind: 'put_back' };
    }
    const refused = afterRefusal(data, this.#heardUnixMs, Date.now());
    const isOwn = isRefusedForItself(refused);
    if (isOwn) await this.ended(asking);
    const waitMs = isOwn ? (call.toldMs ?? 0) : await this.#heed(call, asking);
    // Not the next one in line: others may be taken where this one is not.
    return { kind: 'later', afterMs: waitMs + waitOf(refused), job: { ...data, refused } };
  }

  /** Closes the gate, or slows down where the server works and only takes no more. The ms that the gate stays closed. */
  async #heed(call: GateCall, asking: Asking): Promise<number> {
    const { sidecar } = this.#options;
    const { startedAtMs, tryUntilMs } = asking;
    const isTry = tryUntilMs !== null;
    const { says, reason, toldMs } = call;
    const works = says === 'limited' || this.#heardAtMs > startedAtMs;
    if (!isTry && toldMs === null && works) {
      if (!this.#pace.lower(startedAtMs)) await this.#pace.restAlone('full', reason, null, startedAtMs);
      return 0;
    }
    // A call that was alone says nothing of how many the server takes.
    if (!isTry && toldMs !== null) this.#pace.lower(startedAtMs);
    if (sidecar) {
      if (await this.#pace.restAlone('down', reason, toldMs, startedAtMs)) this.#tell(call, null);
      return 0;
    }
    const ageMs = performance.now() - startedAtMs;
    const { waitMs, closings } = await closeGate(this.#board, this.#options.queue, call, ageMs);
    if (closings > 0) this.#tell(call, { waitMs, closings });
    await this.#pace.restAtGate(waitMs);
    return waitMs;
  }

  async #open(): Promise<void> {
    const { queue, life } = this.#options;
    if (!(await openGate(this.#board, queue))) return;
    life.log.info({ queue }, 'the gate is open');
    if (this.#pace.isAtGate) this.#pace.wake();
  }

  /** Once for the first closing in a row; the metric counts them all. */
  #tell({ reason }: GateCall, gate: { readonly waitMs: number; readonly closings: number } | null): void {
    const { queue, life } = this.#options;
    life.telemetry.meters.count('cascade.gate.closings', 1, { queue });
    const slots = this.#pace.slots;
    if (gate === null) life.log.warn({ queue, reason }, 'this worker waits for its model server');
    else if (gate.closings === 1) life.log.warn({ queue, reason, waitMs: gate.waitMs, slots }, 'the gate is closed');
  }
}

/** How long a document waits that was refused, longer each time. */
function waitOf({ times }: Refused): number {
  const waits = gateWaitsMs(Math.random());
  return waits[Math.min(times, waits.length) - 1] ?? 0;
}
