import {
  afterBreak,
  afterRefusal,
  charged,
  cleared,
  holdBackoffMs,
  isRefusedForItself,
  type BreakerCause,
  type DelayReason,
  type DocumentJob,
  type Hold,
} from '@spillway/core';
import type { ControlFailure, StageOutcome } from '@spillway/cascade';
import {
  closeBreaker,
  leaveProbe,
  noteBroken,
  openBreaker,
  type RedisClock,
  type RedisStore,
  type Taking,
} from '@spillway/redis';
import type { Life } from '@spillway/runtime';
import { BreakerReport } from './breaker-report.ts';
import type { ConcurrencyLimit } from './concurrency-limit.ts';
import { GiveUp } from './give-up.ts';
import { GoneTimes } from './gone-times.ts';
import { LastAnswers } from './last-answers.ts';
import type { RunningCall, RunningCalls } from './running-calls.ts';
import { Suspicion, type AskControl } from './suspicion.ts';
import type { WorkerPause } from './worker-pause.ts';

/** What becomes of a document whose call failed: next in line again, or later; either way as changed. */
export type Held =
  | { readonly kind: 'put_back'; readonly job: DocumentJob }
  | { readonly kind: 'later'; readonly afterMs: number; readonly reason: DelayReason; readonly job: DocumentJob };

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
  /** It was seen that there is no server. */
  readonly isGone?: boolean;
};

export type BreakerControlOptions = {
  readonly tier: string;
  /** The model server is this worker's own: while it is down only this worker waits. */
  readonly sidecar: boolean;
  readonly life: Life;
  /** Why there is no server any more; null: there is one. */
  readonly look: (signal: AbortSignal) => Promise<string | null>;
  readonly askControl: AskControl;
  /** How many attempts a document has. */
  readonly maxAttempts: number;
};

type Unproven = Extract<StageOutcome, { kind: 'unproven' }>;

/** Where somebody was answered so lately, a server that asks to wait means one document only. */
const LATELY_MS = 1_000;

/** What broke off is judged when every worker has told of those that broke with it. */
const MIN_BROKEN_MS = 1_000;

/** What a worker makes of what its model server says of itself: it opens and closes the breaker, and lowers its limit. */
export class BreakerControl {
  readonly #redis: RedisStore;
  readonly #limit: ConcurrencyLimit;
  readonly #pause: WorkerPause;
  readonly #clock: RedisClock;
  readonly #options: BreakerControlOptions;
  readonly #stopped = new AbortController();
  readonly #answers: LastAnswers;
  readonly #suspicion: Suspicion;
  readonly #report: BreakerReport;
  readonly #giveUp: GiveUp;
  readonly #gone = new GoneTimes();

  constructor(redis: RedisStore, { limit, pause, calls, clock }: BreakerParts, options: BreakerControlOptions) {
    this.#redis = redis;
    this.#limit = limit;
    this.#pause = pause;
    this.#clock = clock;
    this.#answers = new LastAnswers(clock);
    this.#options = options;
    const { look, life } = options;
    this.#giveUp = new GiveUp({ calls, answers: this.#answers, look, log: life.log, stopped: this.#stopped.signal });
    this.#report = new BreakerReport(options.tier, options.life, () => limit.value);
    const onAnswered = (begunMs: number): void => {
      this.#answers.note(null, begunMs);
      this.#seenWorking(false);
    };
    const { askControl } = options;
    const stopped = this.#stopped.signal;
    this.#suspicion = new Suspicion({ askControl, calls, limit, report: this.#report, stopped, onAnswered });
  }

  /** The last answer, if the tier is to be told of it now; else null. */
  answerToTell(): Taking['answered'] {
    return this.#answers.toTell();
  }

  /** Whether a call broke off since then, or found no server: whoever was to be begun before that asks again whether it may. */
  wasGoneSince(ms: number): boolean {
    return this.#gone.since(ms);
  }

  /** The server answered a call, or said what is wrong with its request: an open breaker closes. */
  answered(call: RunningCall, how: 'completed' | 'rejected'): void {
    call.isAnswered = true;
    this.#answers.note(call, call.startedAtMs);
    if (how === 'completed') this.#limit.answered(call.startedAtMs);
    this.#report.rejections(how);
    this.#seenWorking(call.probeUntilMs !== null);
  }

  /** It answered something small that was asked in a document's place. */
  async answeredControl(call: RunningCall): Promise<void> {
    call.isAnswered = true;
    this.#answers.note(null, call.startedAtMs);
    await this.#works(call.probeUntilMs !== null);
  }

  /** A call that was to probe the server was given up, or not made at all: another one may. */
  async leave({ probeUntilMs, isAnswered }: Pick<RunningCall, 'probeUntilMs' | 'isAnswered'>): Promise<void> {
    if (probeUntilMs !== null && !isAnswered) await leaveProbe(this.#redis, this.#options.tier, probeUntilMs);
  }

  /** A call failed, and whose fault that was is not known: its document carries it along, until others show it. */
  async failed({ job: failed, ...failure }: Unproven, call: RunningCall): Promise<Held> {
    const { cause, reason, afterMs, isTimeout, isBrokenOff } = failure;
    const wasGone = this.#gone.before(call.startedAtMs) > this.#answers.last.atMs;
    const job = wasGone ? { ...failed, unproven: { ...failed.unproven, wasGone } } : failed;
    // Too many at a time, not this one: like a refusal.
    if (isTimeout && this.#limit.timedOut(call.startedAtMs) && this.#answers.toOthers(call).atMs > call.startedAtMs) {
      const untouched = cleared(job, 'backpressure');
      if (!isRefusedForItself(this.#refusal(untouched, call))) return this.#refuse(untouched, call, 0);
    }
    const begunMs = call.startedAtMs;
    // What a server says of anything else may quote the request.
    const said = cause === 'operator' ? job.unproven.why.said : undefined;
    const verdict = { cause: cause === 'operator' ? cause : 'down', reason, askedMs: null, begunMs, said } as const;
    if (this.#options.sidecar) return await this.#settleOwn({ job, afterMs, verdict }, call);
    if (isBrokenOff) {
      this.#gone.note();
      const { failedAtMs } = job.unproven;
      await noteBroken(this.#redis, this.#options.tier, { document: call.id, failedAtMs });
    }
    // A probe that is no control call: it is one of a server that does not answer those.
    if (call.probeUntilMs !== null && !call.isAnswered) {
      const probedMs = await this.#open({ ...verdict, silentSinceMs: begunMs });
      return { kind: 'later', afterMs: Math.max(probedMs, afterMs), reason: 'breaker', job: cleared(job) };
    }
    const silence = await this.#suspicion.confirm(call, verdict, job);
    const waitMs = silence === null ? 0 : await this.#stop({ ...verdict, ...silence });
    if (waitMs > 0) return { kind: 'put_back', job };
    return { kind: 'later', afterMs: Math.max(afterMs, isBrokenOff ? MIN_BROKEN_MS : 0), reason: 'back_off', job };
  }

  /** Whose fault it is at a server of this worker's own, which what others were answered says nothing of. */
  async #settleOwn(
    { job, afterMs, verdict }: { job: DocumentJob; afterMs: number; verdict: Omit<ServerVerdict, 'silentSinceMs'> },
    call: RunningCall,
  ): Promise<Held> {
    const { maxAttempts, askControl, look } = this.#options;
    const begunMs = performance.now();
    const failure = await askControl({ endpoint: call.endpoint, like: job.body }, call.abort.signal);
    if (failure === null) {
      this.#answers.note(null, begunMs);
      return { kind: 'later', afterMs, reason: 'back_off', job: charged(job, maxAttempts) };
    }
    const isGone = (await look(call.abort.signal)) !== null;
    if (failure !== 'full') {
      const why = failure === 'stopped' ? verdict : { ...verdict, ...failure };
      await this.#stop({ ...why, silentSinceMs: verdict.begunMs, isGone });
    }
    return { kind: 'later', afterMs, reason: 'breaker', job: isGone ? afterBreak(job, maxAttempts) : cleared(job) };
  }

  /** The server is not there, asks to wait, or takes no more. */
  async held(hold: Hold, job: DocumentJob, call: RunningCall): Promise<Held> {
    const { server, reason, retryAfterMs: askedMs } = hold;
    const begunMs = call.startedAtMs;
    if (server === 'down') {
      this.#gone.note();
      // One connection that could not be made is not yet a server that is gone.
      const isGone = (await this.#options.look(call.abort.signal)) !== null;
      const silentSinceMs = Math.min(begunMs, performance.now() - LATELY_MS);
      const waitMs = await this.#stop({ cause: 'down', reason, askedMs: null, begunMs, silentSinceMs, isGone });
      return waitMs > 0 ? { kind: 'put_back', job } : this.#refuse(job, call, 0, 'breaker');
    }
    if (isRefusedForItself(this.#refusal(job, call))) {
      return this.#refuse(job, call, askedMs ?? 0);
    }
    return this.#refuse(job, call, await this.#easeOff(hold, call));
  }

  /** Nothing that is asked is answered, not even something small, or there is no server; for how long it waits, in ms. */
  async heldControl(verdict: ControlFailure & Pick<ServerVerdict, 'isGone'>, begunMs: number): Promise<number> {
    if (verdict.cause === 'down') this.#gone.note();
    const silentSinceMs = Math.min(begunMs, performance.now() - LATELY_MS);
    return await this.#stop({ ...verdict, begunMs, silentSinceMs });
  }

  stop(): void {
    this.#stopped.abort();
  }

  /** Asks less of a server that takes no more, or nothing for a while; for how long it wants to be left alone, in ms. */
  async #easeOff({ server, reason, retryAfterMs: askedMs }: Hold, call: RunningCall): Promise<number> {
    const { startedAtMs: begunMs } = call;
    const isLowered = this.#limit.lower(begunMs);
    const latelyMs = performance.now() - LATELY_MS;
    const isAnswering = this.#answers.toOthers(call).atMs > (askedMs === null ? Math.min(begunMs, latelyMs) : latelyMs);
    if (askedMs !== null) {
      if (isAnswering) return askedMs;
      return await this.#stop({ cause: 'asked', reason, askedMs, begunMs, silentSinceMs: latelyMs });
    }
    if (server === 'unavailable' && !isAnswering) {
      const silence = await this.#suspicion.confirm(call, { cause: 'down', reason, askedMs }, null);
      return silence === null ? 0 : await this.#stop({ ...silence, begunMs });
    }
    if (!isLowered) this.#pause.begin('full', { reason, retryAfterMs: null }, begunMs);
    return 0;
  }

  #refusal(job: DocumentJob, call: RunningCall): NonNullable<DocumentJob['refused']> {
    return afterRefusal(job.refused, this.#answers.toOthers(call).unixMs, Date.now());
  }

  /** Not the next one in line: others may be taken where this one is not. */
  #refuse(job: DocumentJob, call: RunningCall, waitMs: number, reason: DelayReason = 'backpressure'): Held {
    const refused = this.#refusal(job, call);
    const afterMs = waitMs + holdBackoffMs(refused.times, Math.random());
    return { kind: 'later', afterMs, reason, job: { ...job, refused } };
  }

  /** The server answers: nobody is suspected, and an open breaker closes. */
  async #works(isProbe: boolean): Promise<void> {
    this.#suspicion.clear();
    this.#pause.answered();
    if (isProbe || this.#pause.isAtBreaker) await this.#close();
  }

  /** The same, for whoever goes on without waiting for the breaker. */
  #seenWorking(isProbe: boolean): void {
    this.#works(isProbe).catch((error: unknown) =>
      this.#options.life.log.debug({ err: error, tier: this.#options.tier }, 'the circuit breaker was not closed'),
    );
  }

  /** This worker pauses, or all do where the server is theirs too; for how long, in ms. */
  async #stop(verdict: ServerVerdict): Promise<number> {
    if (!this.#options.sidecar) return await this.#open(verdict);
    const why = verdict.cause === 'asked' ? 'full' : 'down';
    const { reason, cause, askedMs, begunMs } = verdict;
    const pauseMs = this.#pause.begin(why, { reason, retryAfterMs: askedMs }, begunMs);
    if (pauseMs > 0) this.#report.opening(verdict, null);
    if (cause === 'down' && this.#pause.isPaused) this.#giveUp.soon(verdict.isGone === true);
    return Math.max(pauseMs, this.#pause.isPaused ? 1 : 0);
  }

  async #open(verdict: ServerVerdict): Promise<number> {
    const { begunMs, silentSinceMs, said: _, isGone = false, ...opens } = verdict;
    const [begunAtMs, sinceMs] = [this.#clock.earliest(begunMs), this.#clock.earliest(silentSinceMs)];
    const opening = { ...opens, begunAtMs, sinceMs };
    const { kind, waitMs, openings, cause } = await openBreaker(this.#redis, this.#options.tier, opening);
    // Another worker was answered just now: only this document waits.
    if ((kind === 'answered' || kind === 'past') && opens.askedMs !== null) return opens.askedMs;
    // Others are answered and this worker is not: only it waits.
    if (kind === 'answered' && opens.cause === 'down') {
      return this.#pause.begin('down', { reason: opens.reason, retryAfterMs: null }, begunMs);
    }
    if (kind === 'opened') this.#report.opening(verdict, { waitMs, openings });
    if (cause === 'down') this.#giveUp.soon(isGone);
    if (waitMs > 0) this.#pause.waitForBreaker(waitMs);
    return waitMs;
  }

  async #close(): Promise<void> {
    const { tier, life } = this.#options;
    const state = await closeBreaker(this.#redis, tier);
    if (state === 'CLOSED') life.log.info({ tier }, 'the circuit breaker is closed');
    if (state !== 'WAIT' && this.#pause.isAtBreaker) this.#pause.end();
  }
}
