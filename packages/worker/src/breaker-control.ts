import {
  afterRefusal,
  areAllSuspects,
  forgiven,
  holdBackoffMs,
  isRefusedForItself,
  NO_SUSPECTS,
  withSuspect,
  type BreakerCause,
  type DocumentJob,
  type EndpointUrl,
  type Hold,
  type Suspects,
} from '@spillway/core';
import type { ControlFailure, StageOutcome } from '@spillway/cascade';
import { closeBreaker, leaveProbe, openBreaker, type RedisClock, type RedisStore, type Taking } from '@spillway/redis';
import type { Life } from '@spillway/runtime';
import { BreakerReport } from './breaker-report.ts';
import type { ConcurrencyLimit } from './concurrency-limit.ts';
import { LastAnswers } from './last-answers.ts';
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
  /** It was seen that there is no server. */
  readonly isGone?: boolean;
};

/** Asks a model something small, in place of a document; null: it was answered. */
export type AskControl = (endpoint: EndpointUrl, signal: AbortSignal) => Promise<ControlFailure | 'stopped' | null>;

export type BreakerControlOptions = {
  readonly tier: string;
  /** The model server is this worker's own: while it is down only this worker waits. */
  readonly sidecar: boolean;
  readonly life: Life;
  /** Why there is no server any more; null: there is one. */
  readonly look: (signal: AbortSignal) => Promise<string | null>;
  readonly askControl: AskControl;
};

type Unproven = Extract<StageOutcome, { kind: 'unproven' }>;

/** Where somebody was answered so lately, a server that asks to wait means one document only. */
const LATELY_MS = 1_000;

/** For so long something small is waited for where nobody else is answered. */
const MAX_SILENT_MS = 2_000;

/** A server that goes down may still answer the calls that it has; after so long it does not. */
const GIVE_UP_MS = 2_000;

/** What a worker makes of what its model server says of itself: it opens and closes the breaker, and lowers its limit. */
export class BreakerControl {
  readonly #redis: RedisStore;
  readonly #limit: ConcurrencyLimit;
  readonly #pause: WorkerPause;
  readonly #calls: RunningCalls;
  readonly #clock: RedisClock;
  readonly #options: BreakerControlOptions;
  #giveUp: NodeJS.Timeout | null = null;
  readonly #stopped = new AbortController();
  /** Something small is asked, to see whether the server answers anybody. */
  #isAsking = false;
  readonly #answers: LastAnswers;
  #suspects: Suspects = NO_SUSPECTS;
  readonly #report: BreakerReport;

  constructor(redis: RedisStore, { limit, pause, calls, clock }: BreakerParts, options: BreakerControlOptions) {
    this.#redis = redis;
    this.#limit = limit;
    this.#pause = pause;
    this.#calls = calls;
    this.#clock = clock;
    this.#answers = new LastAnswers(clock);
    this.#options = options;
    this.#report = new BreakerReport(options.tier, options.life, () => limit.value);
  }

  /** The last answer, if the tier is to be told of it now; else null. */
  answerToTell(): Taking['answered'] {
    return this.#answers.toTell();
  }

  /** The server answered a call, or said what is wrong with its request: an open breaker closes. */
  answered(call: RunningCall, how: 'completed' | 'rejected'): void {
    call.isAnswered = true;
    this.#answers.note(call, call.startedAtMs);
    if (how === 'completed') this.#limit.answered(call.startedAtMs);
    this.#report.rejections(how);
    this.#works(call.probeUntilMs !== null);
  }

  /** It answered something small that was asked in a document's place. */
  answeredControl({ startedAtMs }: RunningCall): void {
    this.#answers.note(null, startedAtMs);
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
    if (isTimeout && this.#limit.timedOut(call.startedAtMs) && this.#answers.toOthers(call).atMs > call.startedAtMs) {
      const { unproven: _, ...untouched } = job;
      if (!isRefusedForItself(this.#refusal(untouched, call))) return this.#refuse(untouched, call, 0);
    }
    const begunMs = call.startedAtMs;
    // What a server says of anything else may quote the request.
    const said = cause === 'operator' ? job.unproven.why.said : undefined;
    const verdict = { cause: cause === 'operator' ? cause : 'down', reason, askedMs: null, begunMs, said } as const;
    if (this.#options.sidecar && cause === 'ambiguous') {
      const gone = await this.#options.look(call.abort.signal);
      // Another worker's server says nothing of this one's, so it is settled here.
      if (gone !== null) {
        await this.#stop({ cause: 'down', reason: gone, askedMs: null, begunMs, silentSinceMs: begunMs, isGone: true });
        return { kind: 'put_back', job: forgiven(job) };
      }
    }
    this.#suspects = withSuspect(this.#suspects, call.id, performance.now());
    const { sinceMs } = this.#suspects;
    const silence = await this.#areAllFailing(call, verdict);
    const waitMs = silence === null ? 0 : await this.#stop({ ...verdict, ...silence, silentSinceMs: sinceMs });
    if (waitMs === 0) return { kind: 'later', afterMs, job };
    return { kind: 'put_back', job: this.#options.sidecar ? forgiven(job) : job };
  }

  /** The server is not there, asks to wait, or takes no more. */
  async held(hold: Hold, job: DocumentJob, call: RunningCall): Promise<Held> {
    const { server, reason, retryAfterMs: askedMs } = hold;
    const begunMs = call.startedAtMs;
    if (server === 'down') {
      const verdict = { cause: 'down', reason, askedMs: null, begunMs, silentSinceMs: begunMs, isGone: true } as const;
      const waitMs = await this.#stop(verdict);
      return waitMs > 0 ? { kind: 'put_back', job } : this.#refuse(job, call, 0);
    }
    if (isRefusedForItself(this.#refusal(job, call))) {
      return this.#refuse(job, call, askedMs ?? 0);
    }
    return this.#refuse(job, call, await this.#easeOff(hold, call));
  }

  /** Nothing that is asked is answered, not even something small, or there is no server; for how long it waits, in ms. */
  async heldControl(verdict: ControlFailure & Pick<ServerVerdict, 'isGone'>, begunMs: number): Promise<number> {
    const silentSinceMs = verdict.cause === 'asked' ? performance.now() - LATELY_MS : begunMs;
    return await this.#stop({ ...verdict, begunMs, silentSinceMs });
  }

  stop(): void {
    this.#stopped.abort();
    if (this.#giveUp !== null) clearTimeout(this.#giveUp);
  }

  /** Asks less of a server that takes no more, or nothing for a while; for how long it wants to be left alone, in ms. */
  async #easeOff({ server, reason, retryAfterMs: askedMs }: Hold, call: RunningCall): Promise<number> {
    const { startedAtMs } = call;
    const begunMs = startedAtMs;
    const isLowered = this.#limit.lower(startedAtMs);
    const latelyMs = performance.now() - LATELY_MS;
    const sinceMs = askedMs === null ? Math.min(startedAtMs, latelyMs) : latelyMs;
    const isAnswering = this.#answers.toOthers(call).atMs > sinceMs;
    if (isAnswering) {
      if (!isLowered && askedMs === null) await this.#ease(reason, startedAtMs);
      return askedMs ?? 0;
    }
    if (askedMs !== null) {
      return await this.#stop({ cause: 'asked', reason, askedMs, begunMs, silentSinceMs: latelyMs });
    }
    if (server === 'unavailable') {
      const verdict = { cause: 'down', reason, askedMs } as const;
      this.#suspects = withSuspect(this.#suspects, call.id, performance.now());
      const { sinceMs: silentSinceMs } = this.#suspects;
      const failure = await this.#areAllFailing(call, verdict);
      return failure === null ? 0 : await this.#stop({ ...failure, begunMs, silentSinceMs });
    }
    if (!isLowered) await this.#ease(reason, startedAtMs);
    return 0;
  }

  /** Why not even something small is answered where all who ask are suspects; null: they are not, or it was answered. */
  async #areAllFailing(call: RunningCall, silent: ControlFailure): Promise<ControlFailure | null> {
    const { sinceMs } = this.#suspects;
    if (this.#isAsking || !areAllSuspects(this.#suspects, this.#calls.othersBegunBefore(sinceMs, call))) return null;
    this.#isAsking = true;
    const begunMs = performance.now();
    const until = AbortSignal.any([this.#stopped.signal, AbortSignal.timeout(MAX_SILENT_MS)]);
    const failure = await this.#options.askControl(call.endpoint, until).finally(() => (this.#isAsking = false));
    this.#suspects = NO_SUSPECTS;
    if (failure !== null) return failure === 'stopped' ? silent : failure;
    this.#answers.note(null, begunMs);
    this.#works(false);
    return null;
  }

  /** One call at a time is too much already. */
  async #ease(reason: string, startedAtMs: number): Promise<void> {
    await this.#pause.begin('full', { reason, retryAfterMs: null }, startedAtMs);
  }

  #refusal(job: DocumentJob, call: RunningCall): NonNullable<DocumentJob['refused']> {
    return afterRefusal(job.refused, this.#answers.toOthers(call).unixMs, Date.now());
  }

  /** Not the next one in line: others may be taken where this one is not. */
  #refuse(job: DocumentJob, call: RunningCall, waitMs: number): Held {
    const refused = this.#refusal(job, call);
    const afterMs = waitMs + holdBackoffMs(refused.times, Math.random());
    return { kind: 'later', afterMs, job: { ...job, refused } };
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
    if (cause === 'down') this.#giveUpSilent(verdict.isGone === true);
    return Math.max(pauseMs, this.#pause.isPaused ? 1 : 0);
  }

  async #open(verdict: ServerVerdict): Promise<number> {
    const { begunMs, silentSinceMs, said: _, isGone = false, ...opens } = verdict;
    const [begunAtMs, sinceMs] = [this.#clock.earliest(begunMs), this.#clock.earliest(silentSinceMs)];
    const opening = { ...opens, begunAtMs, sinceMs };
    const { kind, waitMs, openings, cause } = await openBreaker(this.#redis, this.#options.tier, opening);
    // Another worker was answered just now: only this document waits.
    if (kind === 'answered' && opens.askedMs !== null) return opens.askedMs;
    if (kind === 'opened') this.#report.opening(verdict, { waitMs, openings });
    if (cause === 'down') this.#giveUpSilent(isGone);
    if (waitMs > 0) await this.#pause.waitForBreaker(waitMs);
    return waitMs;
  }

  /** Calls that a server has which went away are never answered, as far as it keeps their connections open. */
  #giveUpSilent(isGone: boolean): void {
    if (this.#giveUp !== null || this.#stopped.signal.aborted) return;
    const downAtMs = performance.now();
    const giveUp = async (): Promise<void> => {
      const isThere = !isGone && (await this.#options.look(this.#stopped.signal)) === null;
      const { to, atMs } = this.#answers.last;
      const isAlive = to !== null && to.startedAtMs < downAtMs && atMs > downAtMs;
      if (!isThere && !isAlive) this.#calls.giveUp('server_down', ({ startedAtMs }) => startedAtMs < downAtMs);
    };
    this.#giveUp = setTimeout(() => {
      this.#giveUp = null;
      giveUp().catch((error: unknown) => this.#options.life.log.debug({ err: error }, 'a look for the server failed'));
    }, GIVE_UP_MS);
  }

  async #close(): Promise<void> {
    const { tier, life } = this.#options;
    const state = await closeBreaker(this.#redis, tier);
    if (state === 'CLOSED') life.log.info({ tier }, 'the circuit breaker is closed');
    if (state !== 'WAIT' && this.#pause.isAtBreaker) this.#pause.end();
  }
}
