import {
  afterRefusal,
  holdBackoffMs,
  isRefusedForItself,
  tierLabels,
  type DocumentJob,
  type Hold,
} from '@spillway/core';
import { closeBreaker, leaveProbe, openBreaker, type RedisStore } from '@spillway/redis';
import type { Life } from '@spillway/runtime';
import type { ConcurrencyLimit } from './concurrency-limit.ts';
import type { WorkerPause } from './worker-pause.ts';

/** A document about which the model is asked. */
export type ModelCallState = {
  /** Until when it probes a server whose breaker is open; null: the breaker was closed. */
  readonly probeUntilMs: number | null;
  /** On the clock that never goes back. */
  readonly startedAtMs: number;
  /** The server showed that it works. */
  isAnswered: boolean;
};

/** What becomes of a document whose call says that it is not its fault: next in line again, or later and as changed. */
export type Held =
  | { readonly kind: 'put_back' }
  | { readonly kind: 'later'; readonly afterMs: number; readonly job: DocumentJob };

export type BreakerControlOptions = {
  readonly tier: string;
  /** The model server is this worker's own: while it is down only this worker waits. */
  readonly sidecar: boolean;
  readonly life: Life;
};

/** An answer: about which document, and when, on the clock that never goes back and in Unix milliseconds. */
type LastAnswer = { readonly about: ModelCallState | null; readonly atMs: number; readonly unixMs: number };

const NO_ANSWER: LastAnswer = { about: null, atMs: -1, unixMs: 0 };

/** What a worker makes of what its model server says of itself: it opens and closes the breaker, and lowers its limit. */
export class BreakerControl {
  readonly #redis: RedisStore;
  readonly #limit: ConcurrencyLimit;
  readonly #pause: WorkerPause;
  readonly #options: BreakerControlOptions;
  /** The last answer, and the last one about another document than that. */
  #lastAnswer = NO_ANSWER;
  #answerBefore = NO_ANSWER;

  constructor(
    redis: RedisStore,
    { limit, pause }: { readonly limit: ConcurrencyLimit; readonly pause: WorkerPause },
    options: BreakerControlOptions,
  ) {
    this.#redis = redis;
    this.#limit = limit;
    this.#pause = pause;
    this.#options = options;
  }

  /** The server answered a call: an open breaker closes. */
  answered(call: ModelCallState): void {
    call.isAnswered = true;
    if (this.#lastAnswer.about !== call) this.#answerBefore = this.#lastAnswer;
    this.#lastAnswer = { about: call, atMs: performance.now(), unixMs: Date.now() };
    this.#pause.answered();
    this.#limit.raise();
    if (call.probeUntilMs === null && !this.#pause.isAtBreaker) return;
    this.#close().catch((error: unknown) =>
      this.#options.life.log.debug({ err: error, tier: this.#options.tier }, 'the circuit breaker was not closed'),
    );
  }

  /** A call that was to probe the server was given up, or not made at all: another one may. */
  async leave({ probeUntilMs, isAnswered }: ModelCallState): Promise<void> {
    if (probeUntilMs !== null && !isAnswered) await leaveProbe(this.#redis, this.#options.tier, probeUntilMs);
  }

  /** A call used up an attempt (a 5xx, a reset, a time-out); one that was to probe the server says: not yet. */
  async failed(call: ModelCallState): Promise<void> {
    if (call.probeUntilMs === null || call.isAnswered) return;
    await this.#open({ reason: 'a call that probed the model server failed', retryAfterMs: null }, call.startedAtMs);
  }

  /** The server is down, asks to wait, or takes no more. */
  async held(hold: Hold, job: DocumentJob, call: ModelCallState): Promise<Held> {
    if (hold.server === 'down') {
      await this.#react(hold, call);
      return { kind: 'put_back' };
    }
    const refused = afterRefusal(job.refused, this.#answerToOthers(call).unixMs, Date.now());
    const isOwn = isRefusedForItself(refused);
    if (isOwn) await this.leave(call);
    const waitMs = isOwn ? (hold.retryAfterMs ?? 0) : await this.#react(hold, call);
    // Not the next one in line: others may be taken where this one is not.
    return { kind: 'later', afterMs: waitMs + holdBackoffMs(refused.times, Math.random()), job: { ...job, refused } };
  }

  /** The last answer about another document. */
  #answerToOthers(call: ModelCallState): LastAnswer {
    return this.#lastAnswer.about === call ? this.#answerBefore : this.#lastAnswer;
  }

  /** Asks less where the server takes no more, opens the breaker where it is down. The ms that the breaker stays open. */
  async #react(hold: Hold, call: ModelCallState): Promise<number> {
    const { startedAtMs, probeUntilMs } = call;
    const { server, retryAfterMs } = hold;
    const isWorking = server === 'limited' || this.#answerToOthers(call).atMs > startedAtMs;
    if (probeUntilMs !== null) {
      // A call that was the only one says nothing of how many the server takes.
      if (!isWorking || retryAfterMs !== null) return await this.#open(hold, startedAtMs);
      await this.#close();
      return 0;
    }
    // A server that is full may say so with a 503 before anybody was answered: it is asked less and soon probed.
    const isLowered = server === 'down' || this.#limit.lower(startedAtMs);
    if (!isWorking || retryAfterMs !== null) return await this.#stop(hold, startedAtMs);
    if (!isLowered) await this.#pause.begin('full', { ...hold, retryAfterMs: null }, startedAtMs);
    return 0;
  }

  /** This worker pauses, or all do where the server is theirs too. */
  async #stop(hold: Hold, startedAtMs: number): Promise<number> {
    if (!this.#options.sidecar) return await this.#open(hold, startedAtMs);
    const why = hold.server === 'limited' ? 'full' : 'down';
    if (await this.#pause.begin(why, hold, startedAtMs)) this.#report(hold.reason, null);
    return 0;
  }

  async #open(hold: Pick<Hold, 'reason' | 'retryAfterMs'>, startedAtMs: number): Promise<number> {
    const ageMs = performance.now() - startedAtMs;
    const { waitMs, openings } = await openBreaker(this.#redis, this.#options.tier, hold, ageMs);
    if (openings > 0) this.#report(hold.reason, { waitMs, openings });
    if (waitMs > 0) await this.#pause.waitForBreaker(waitMs);
    return waitMs;
  }

  async #close(): Promise<void> {
    const { tier, life } = this.#options;
    const state = await closeBreaker(this.#redis, tier);
    if (state === 'CLOSED') life.log.info({ tier }, 'the circuit breaker is closed');
    if (state !== 'WAIT' && this.#pause.isAtBreaker) this.#pause.end();
  }

  /** Logs the first opening in a row; the metric counts them all. */
  #report(reason: string, opening: { readonly waitMs: number; readonly openings: number } | null): void {
    const { tier, life } = this.#options;
    life.telemetry.meters.count('cascade.breaker.openings', 1, tierLabels(tier));
    const fields = { tier, reason, limit: this.#limit.value };
    if (opening === null) life.log.warn(fields, 'this worker waits for its model server');
    else if (opening.openings === 1)
      life.log.warn({ ...fields, waitMs: opening.waitMs }, 'the circuit breaker is open');
  }
}
