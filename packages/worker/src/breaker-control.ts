import {
  afterRefusal,
  areAllSuspects,
  holdBackoffMs,
  isRefusedForItself,
  NO_SUSPECTS,
  withSuspect,
  type BreakerCause,
  type DocumentJob,
  type Hold,
  type Suspects,
} from '@spillway/core';
import type { StageOutcome } from '@spillway/cascade';
import { closeBreaker, leaveProbe, openBreaker, type RedisClock, type RedisStore, type Taking } from '@spillway/redis';
import type { Life } from '@spillway/runtime';
import { BreakerReport } from './breaker-report.ts';
import type { ConcurrencyLimit } from './concurrency-limit.ts';
import type { RunningCall, RunningCalls } from './running-calls.ts';
import type { WorkerPause } from './worker-pause.ts';

/** What becomes of a document whose call failed: next in line again, or later; either way as changed. */
export type Held =
  | { readonly kind: 'put_back'; readonly job: DocumentJob }
  | { readonly kind: 'later'; readonly afterMs: number; readonly job: DocumentJob };

/** What it acts upon and looks at. */
export type BreakerParts = {
  readonly limit: ConcurrencyLimit;
  readonly pause: WorkerPause;
  readonly calls: RunningCalls;
  readonly clock: RedisClock;
};

/** What a call says of its server; on the clock of this process: when it began, and since when nobody was answered. */
type ServerVerdict = {
  readonly cause: BreakerCause;
  readonly reason: string;
  readonly askedMs: number | null;
  readonly begunMs: number;
  readonly silentSinceMs: number;
  /** What the server said of key, account, model or address; absent: nothing that is for the log. */
  readonly said?: string | undefined;
};

export type BreakerControlOptions = {
  readonly tier: string;
  /** The model server is this worker's own: while it is down only this worker waits. */
  readonly sidecar: boolean;
  readonly life: Life;
  /** Why there is no server any more; null: there is one. */
  readonly look: (signal: AbortSignal) => Promise<string | null>;
};

type Unproven = Extract<StageOutcome, { kind: 'unproven' }>;

/** An answer: to which call, and when, on the clock that never goes back and in Unix milliseconds. */
type LastAnswer = { readonly to: RunningCall | null; readonly atMs: number; readonly unixMs: number };

const NO_ANSWER: LastAnswer = { to: null, atMs: Number.NEGATIVE_INFINITY, unixMs: 0 };

/** Where somebody was answered so lately, a server that asks to wait means one document only. */
const LATELY_MS = 1_000;

/** A server that goes down may still answer the calls that it has; after so long it does not. */
const GIVE_UP_MS = 2_000;

/** The tier is told of answers no more often than this. */
const TELL_MS = 100;

/** What a worker makes of what its model server says of itself: it opens and closes the breaker, and lowers its limit. */
export class BreakerControl {
  readonly #redis: RedisStore;
  readonly #limit: ConcurrencyLimit;
  readonly #pause: WorkerPause;
  readonly #calls: RunningCalls;
  readonly #clock: RedisClock;
  readonly #options: BreakerControlOptions;
  #giveUp: NodeJS.Timeout | null = null;
  #isStopped = false;
  /** The last answer, and the last one to another call than that. */
  #lastAnswer = NO_ANSWER;
  #answerBefore = NO_ANSWER;
  /** When the latest of the answered calls began. */
  #workedAtMs = Number.NEGATIVE_INFINITY;
  #toldAtMs = Number.NEGATIVE_INFINITY;
  #suspects: Suspects = NO_SUSPECTS;
  readonly #report: BreakerReport;

  constructor(redis: RedisStore, { limit, pause, calls, clock }: BreakerParts, options: BreakerControlOptions) {
    this.#redis = redis;
    this.#limit = limit;
    this.#pause = pause;
    this.#calls = calls;
    this.#clock = clock;
    this.#options = options;
    this.#report = new BreakerReport(options.tier, options.life, () => limit.value);
  }

  /** The last answer, if the tier is to be told of it now; else null. */
  answerToTell(): Taking['answered'] {
    const { atMs } = this.#lastAnswer;
    if (atMs <= this.#toldAtMs || performance.now() - this.#toldAtMs < TELL_MS) return null;
    this.#toldAtMs = performance.now();
    return { atMs: this.#clock.earliest(atMs), begunAtMs: this.#clock.earliest(this.#workedAtMs) };
  }

  /** The server answered a call, or said what is wrong with its request: an open breaker closes. */
  answered(call: RunningCall, how: 'completed' | 'rejected'): void {
    call.isAnswered = true;
    if (this.#lastAnswer.to !== call) this.#answerBefore = this.#lastAnswer;
    this.#lastAnswer = { to: call, atMs: performance.now(), unixMs: Date.now() };
    this.#workedAtMs = Math.max(this.#workedAtMs, call.startedAtMs);
    if (how === 'completed') this.#limit.answered(call.startedAtMs);
    this.#report.rejections(how);
    this.#works(call.probeUntilMs !== null);
  }

  /** It answered something small that was asked in a document's place. */
  answeredControl({ startedAtMs }: RunningCall): void {
    this.#answerBefore = this.#lastAnswer;
    this.#workedAtMs = Math.max(this.#workedAtMs, startedAtMs);
    this.#lastAnswer = { to: null, atMs: performance.now(), unixMs: Date.now() };
    this.#works(true);
  }

  /** A call that was to probe the server was given up, or not made at all: another one may. */
  async leave({ probeUntilMs, isAnswered }: Pick<RunningCall, 'probeUntilMs' | 'isAnswered'>): Promise<void> {
    if (probeUntilMs !== null && !isAnswered) await leaveProbe(this.#redis, this.#options.tier, probeUntilMs);
  }

  /** A call failed, and whose fault that was is not known: its document carries it along, until others show it. */
  async failed({ job, ...failure }: Unproven, call: RunningCall): Promise<Held> {
    const { cause, reason, afterMs, isTimeout } = failure;
    // Too many at a time, not this one: like a refusal.
    if (isTimeout && this.#limit.timedOut(call.startedAtMs) && this.#answerToOthers(call).atMs > call.startedAtMs) {
      const { unproven: _, ...untouched } = job;
      if (!isRefusedForItself(this.#refusal(untouched, call))) return this.#refuse(untouched, call, 0);
    }
    const begunMs = call.startedAtMs;
    // What a server says of anything else may quote the request.
    const said = cause === 'operator' ? job.unproven.why.said : undefined;
    const verdict = { cause: cause === 'operator' ? cause : 'down', reason, askedMs: null, begunMs, said } as const;
    if (call.probeUntilMs !== null && !call.isAnswered) {
      const waitMs = await this.#open({ ...verdict, silentSinceMs: begunMs });
      const unproven = { ...job.unproven, probed: true as const };
      return { kind: 'later', afterMs: Math.max(waitMs, afterMs), job: { ...job, unproven } };
    }
    if (this.#options.sidecar && cause === 'ambiguous') {
      const gone = await this.#options.look(call.abort.signal);
      if (gone !== null) await this.#pause.begin('down', { reason: gone, retryAfterMs: null }, call.startedAtMs);
      if (gone !== null) return { kind: 'put_back', job };
    }
    this.#suspects = withSuspect(this.#suspects, call.id, performance.now());
    const { sinceMs } = this.#suspects;
    if (!areAllSuspects(this.#suspects, this.#calls.begunBefore(sinceMs) - 1)) return { kind: 'later', afterMs, job };
    this.#suspects = NO_SUSPECTS;
    const waitMs = await this.#stop({ ...verdict, silentSinceMs: sinceMs });
    return waitMs > 0 ? { kind: 'put_back', job } : { kind: 'later', afterMs, job };
  }

  /** The server is not there, asks to wait, or takes no more. */
  async held(hold: Hold, job: DocumentJob, call: RunningCall): Promise<Held> {
    const { server, reason, retryAfterMs: askedMs } = hold;
    const begunMs = call.startedAtMs;
    if (server === 'down') {
      const waitMs = await this.#stop({ cause: 'down', reason, askedMs: null, begunMs, silentSinceMs: begunMs });
      return waitMs > 0 ? { kind: 'put_back', job } : this.#refuse(job, call, 0);
    }
    if (isRefusedForItself(this.#refusal(job, call))) {
      await this.leave(call);
      return this.#refuse(job, call, askedMs ?? 0);
    }
    return this.#refuse(job, call, await this.#easeOff(hold, call));
  }

  /** Nothing that is asked is answered, not even something small; the ms that the breaker stays open. */
  async heldControl(verdict: Pick<ServerVerdict, 'cause' | 'reason'>, begunMs: number): Promise<number> {
    return await this.#stop({ ...verdict, askedMs: null, begunMs, silentSinceMs: begunMs });
  }

  stop(): void {
    this.#isStopped = true;
    if (this.#giveUp !== null) clearTimeout(this.#giveUp);
  }

  /** Asks less of a server that takes no more, or nothing for a while; for how long it wants to be left alone, in ms. */
  async #easeOff({ server, reason, retryAfterMs: askedMs }: Hold, call: RunningCall): Promise<number> {
    const { startedAtMs, probeUntilMs } = call;
    const begunMs = startedAtMs;
    const isLowered = probeUntilMs === null && this.#limit.lower(startedAtMs);
    const isAnswering = this.#answerToOthers(call).atMs > Math.min(startedAtMs, performance.now() - LATELY_MS);
    if (isAnswering) {
      if (!isLowered && askedMs === null && probeUntilMs === null) await this.#ease(reason, startedAtMs);
      if (probeUntilMs !== null) await this.leave(call);
      return askedMs ?? 0;
    }
    if (askedMs !== null) {
      const silentSinceMs = performance.now() - LATELY_MS;
      return await this.#stop({ cause: 'asked', reason, askedMs, begunMs, silentSinceMs });
    }
    if (server === 'unavailable') {
      const verdict = { cause: 'down', reason, askedMs, begunMs } as const;
      if (probeUntilMs !== null) return await this.#open({ ...verdict, silentSinceMs: begunMs });
      this.#suspects = withSuspect(this.#suspects, call.id, performance.now());
      const { sinceMs } = this.#suspects;
      if (!areAllSuspects(this.#suspects, this.#calls.begunBefore(sinceMs) - 1)) return 0;
      this.#suspects = NO_SUSPECTS;
      return await this.#stop({ ...verdict, silentSinceMs: sinceMs });
    }
    // It works, and a call that was the only one says nothing of how many it takes.
    if (probeUntilMs !== null) await this.#close();
    else if (!isLowered) await this.#ease(reason, startedAtMs);
    return 0;
  }

  /** One call at a time is too much already. */
  async #ease(reason: string, startedAtMs: number): Promise<void> {
    await this.#pause.begin('full', { reason, retryAfterMs: null }, startedAtMs);
  }

  #refusal(job: DocumentJob, call: RunningCall): NonNullable<DocumentJob['refused']> {
    return afterRefusal(job.refused, this.#answerToOthers(call).unixMs, Date.now());
  }

  /** Not the next one in line: others may be taken where this one is not. */
  #refuse(job: DocumentJob, call: RunningCall, waitMs: number): Held {
    const refused = this.#refusal(job, call);
    const afterMs = waitMs + holdBackoffMs(refused.times, Math.random());
    return { kind: 'later', afterMs, job: { ...job, refused } };
  }

  /** The last answer to another call. */
  #answerToOthers(call: RunningCall): LastAnswer {
    return this.#lastAnswer.to === call ? this.#answerBefore : this.#lastAnswer;
  }

  /** The server answers: nobody is suspected, and an open breaker closes. */
  #works(isProbe: boolean): void {
    this.#suspects = NO_SUSPECTS;
    this.#pause.answered();
    if (!isProbe && !this.#pause.isAtBreaker) return;
    this.#close().catch((error: unknown) =>
      this.#options.life.log.debug({ err: error, tier: this.#options.tier }, 'the circuit breaker was not closed'),
    );
  }

  /** This worker pauses, or all do where the server is theirs too; for how long, in ms. */
  async #stop(verdict: ServerVerdict): Promise<number> {
    if (!this.#options.sidecar) return await this.#open(verdict);
    const why = verdict.cause === 'asked' ? 'full' : 'down';
    const { reason, cause, askedMs, begunMs } = verdict;
    const pauseMs = await this.#pause.begin(why, { reason, retryAfterMs: askedMs }, begunMs);
    if (pauseMs > 0) this.#report.opening(verdict, null);
    if (cause === 'down') this.#giveUpSilent();
    return Math.max(pauseMs, this.#pause.isPaused ? 1 : 0);
  }

  async #open(verdict: ServerVerdict): Promise<number> {
    const { begunMs, silentSinceMs, said: _, ...opens } = verdict;
    const [begunAtMs, sinceMs] = [this.#clock.earliest(begunMs), this.#clock.earliest(silentSinceMs)];
    const opening = { ...opens, begunAtMs, sinceMs };
    const { kind, waitMs, openings, cause } = await openBreaker(this.#redis, this.#options.tier, opening);
    // Another worker was answered just now: only this document waits.
    if (kind === 'answered' && opens.askedMs !== null) return opens.askedMs;
    if (kind === 'opened') this.#report.opening(verdict, { waitMs, openings });
    if (cause === 'down') this.#giveUpSilent();
    if (waitMs > 0) await this.#pause.waitForBreaker(waitMs);
    return waitMs;
  }

  /** Calls that a server has which went down are never answered, as far as it keeps their connections open. */
  #giveUpSilent(): void {
    if (this.#giveUp !== null || this.#isStopped) return;
    const downAtMs = performance.now();
    this.#giveUp = setTimeout(() => {
      this.#giveUp = null;
      const { to, atMs } = this.#lastAnswer;
      const isAlive = to !== null && to.startedAtMs < downAtMs && atMs > downAtMs;
      if (!isAlive) this.#calls.giveUp('server_down', ({ startedAtMs }) => startedAtMs < downAtMs);
    }, GIVE_UP_MS);
  }

  async #close(): Promise<void> {
    const { tier, life } = this.#options;
    const state = await closeBreaker(this.#redis, tier);
    if (state === 'CLOSED') life.log.info({ tier }, 'the circuit breaker is closed');
    if (state !== 'WAIT' && this.#pause.isAtBreaker) this.#pause.end();
  }
}
