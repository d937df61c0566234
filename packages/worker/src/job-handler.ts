import {
  blameFor,
  charged,
  draftToHandOff,
  forgiven,
  isAskedAlone,
  JOB_VERSION,
  type DocumentJob,
} from '@spillway/core';
import { leaveAlone, startJob, writeJob, type RedisClock, type RedisStore, type Started } from '@spillway/redis';
import type { StopReason } from '@spillway/runtime';
import type { Job } from 'bullmq';
import type { AskControl, BreakerControl } from './breaker-control.ts';
import type { DocumentWorker, Verdict } from './document-worker.ts';
import type { RulesCache } from './rules-cache.ts';
import type { RunningCall, RunningCalls } from './running-calls.ts';
import type { WorkerPause } from './worker-pause.ts';

/** What is done with a job that was taken up. */
export type Disposition =
  | { readonly kind: 'done' }
  /** Next in line again. */
  | { readonly kind: 'put_back' }
  | { readonly kind: 'later'; readonly afterMs: number };

export type JobHandlerOptions = {
  readonly tier: string;
  /** How long a call may take, and how many a document has. */
  readonly callMs: number;
  readonly maxAttempts: number;
  readonly askControl: AskControl;
  /** No more jobs are begun. */
  readonly isDraining: () => boolean;
  /** Aborted when the process must end now. */
  readonly stopping: AbortSignal;
  /** Called with what a finished document took, in seconds. */
  readonly onDone: (seconds: number) => void;
};

export type JobHandlerParts = {
  readonly redis: RedisStore;
  readonly documents: DocumentWorker;
  readonly rules: RulesCache;
  readonly breaker: BreakerControl;
  readonly pause: WorkerPause;
  readonly calls: RunningCalls;
  readonly clock: RedisClock;
};

const DONE: Disposition = { kind: 'done' };
const PUT_BACK: Disposition = { kind: 'put_back' };
const later = (afterMs: number): Disposition => ({ kind: 'later', afterMs });

/** A job of a newer Spillway waits for a newer worker. */
const NEWER_JOB_MS = 5_000;

/** Redis is recovering, or does not have the batch's rules yet. */
const RECOVERING_MS = 500;

/** The dispatcher looks for the drafts of an expired batch in their jobs, and drops those when it has them. */
const CLOSED_DRAFT_MS = 10_000;

/** Another document that is asked alone is asked about now. */
const ALONE_MS = 500;

/** Others are asked about meanwhile, and what comes of them shows whose fault a failure was. */
const UNKNOWN_MS = 500;

/** A job as a worker has taken it up. */
type Taken = { readonly job: Job; readonly token: string; readonly started: Started };

/** Handles the jobs of one tier: from whether a document still is to be done to what becomes of its job. */
export class JobHandler {
  readonly #parts: JobHandlerParts;
  readonly #options: JobHandlerOptions;

  constructor(parts: JobHandlerParts, options: JobHandlerOptions) {
    this.#parts = parts;
    this.#options = options;
  }

  /** Takes a document up, unless it is not to be done, or not now. */
  async handle(job: Job, token: string): Promise<Disposition> {
    const { redis, breaker, pause, clock } = this.#parts;
    const { tier, callMs } = this.#options;
    const data = job.data as DocumentJob;
    if (data.v > JOB_VERSION) return later(NEWER_JOB_MS);
    // Of an older Spillway: the sweep enqueues the document again, in today's shape.
    if (data.v < JOB_VERSION) return DONE;
    const taking = { priority: job.priority, answered: breaker.answerToTell(), callMs };
    const askedAtMs = performance.now();
    const started = await startJob(redis, tier, data, taking);
    clock.observe({ askedAtMs, answeredAtMs: performance.now(), redisMs: started.nowMs });
    switch (started.state) {
      case 'RECOVERING':
        return later(RECOVERING_MS);
      case 'CLOSED':
        return data.drafts.length > 0 ? later(CLOSED_DRAFT_MS) : DONE;
      case 'WAIT':
        await pause.waitForBreaker(started.ms);
        return PUT_BACK;
      case 'ALONE':
        return later(ALONE_MS);
      case 'GO':
      case 'PROBE':
        return await this.#begin({ job, token, started });
      case 'ALREADY':
      case 'GONE':
        return DONE;
    }
  }

  async #begin(taken: Taken): Promise<Disposition> {
    const { breaker, pause, calls } = this.#parts;
    const { job, started } = taken;
    const data = job.data as DocumentJob;
    const isAlone = isAskedAlone(data);
    const call: RunningCall = {
      id: job.id ?? '',
      batch: data.batch,
      endpoint: data.endpoint,
      mayTakeLong: isAlone,
      abort: new AbortController(),
      probeUntilMs: started.state === 'PROBE' ? started.ms : null,
      startedAtMs: performance.now(),
      isAnswered: false,
    };
    // Taken up while the process was told to stop, or while it pauses: somebody else's.
    if (this.#options.isDraining() || (call.probeUntilMs === null && pause.isPaused)) {
      await breaker.leave(call);
      return PUT_BACK;
    }
    calls.begin(call);
    try {
      const instead = await this.#settleBlame(taken, call);
      return instead ?? (await this.#work(taken, call));
    } finally {
      calls.end(call);
      if (isAlone) await leaveAlone(this.#parts.redis, this.#options.tier, call.id);
    }
  }

  /**
   * Finds out whether the server answers again, and whose fault the document's last failure was, where that is open: by
   * something small that is asked first, so that no document's own fault is taken for its server's. What is to be done
   * instead of asking about the document; null: it is asked about.
   */
  async #settleBlame({ job, started }: Taken, call: RunningCall): Promise<Disposition | null> {
    const { breaker, calls } = this.#parts;
    const data = job.data as DocumentJob;
    if (draftToHandOff(data) !== null) return null;
    const blame = data.unproven === undefined ? null : blameFor(data.unproven, data.breaks ?? 0, started);
    if (blame === 'server') job.data = forgiven(data);
    if (blame === 'document') job.data = charged(data, this.#options.maxAttempts);
    const judged = job.data as DocumentJob;
    // Its last word: its model is not asked any more.
    if (blame === 'document' && judged.unproven !== undefined) return null;
    const isProbe = call.probeUntilMs !== null;
    if (!isProbe && blame !== 'unknown') return null;
    // Not all at the same moment, or each would wait for the others.
    if (!isProbe && calls.size > 1) return later(UNKNOWN_MS * (0.5 + Math.random()));
    const failure = await this.#options.askControl(data.endpoint, call.abort.signal);
    if (failure === null) {
      // What failed while the breaker was open says nothing of the document.
      if (blame === 'unknown') job.data = isProbe ? forgiven(data) : charged(data, this.#options.maxAttempts);
      call.isAnswered = true;
      breaker.answeredControl(call);
      return null;
    }
    const waitMs = failure === 'stopped' ? 0 : await breaker.heldControl(failure, call.startedAtMs);
    if (waitMs > 0) return PUT_BACK;
    // Others are answered and this worker is not, or it stops: not at once again.
    await breaker.leave(call);
    return failure === 'stopped' ? PUT_BACK : later(UNKNOWN_MS * (1 + Math.random()));
  }

  async #work(taken: Taken, call: RunningCall): Promise<Disposition> {
    const { documents, rules: cache, breaker } = this.#parts;
    const { job } = taken;
    const data = job.data as DocumentJob;
    const rules = await cache.of(data);
    if (rules === null) {
      await breaker.leave(call);
      return later(RECOVERING_MS);
    }
    const verdict = await documents.work(
      { job: data, rules },
      {
        signal: call.abort.signal,
        stopping: this.#options.stopping,
        stalls: job.stalledCounter,
        onAnswered: (how) => breaker.answered(call, how),
        save: (changed) => this.#write(taken, changed),
      },
    );
    return await this.#conclude(verdict, taken, call);
  }

  /** Tells the breaker what the attempt says of the server, and writes the job where it was changed. */
  async #conclude(verdict: Verdict, taken: Taken, call: RunningCall): Promise<Disposition> {
    const { breaker } = this.#parts;
    switch (verdict.kind) {
      case 'done':
        this.#options.onDone((performance.now() - call.startedAtMs) / 1_000);
        await breaker.leave(call);
        return DONE;
      case 'unproven':
      case 'hold': {
        const data = taken.job.data as DocumentJob;
        const held =
          verdict.kind === 'hold'
            ? await breaker.held(verdict, data, call)
            : await breaker.failed(stamped(verdict, this.#parts.clock), call);
        await this.#write(taken, held.job);
        return held.kind === 'put_back' ? PUT_BACK : later(held.afterMs);
      }
      // What used no attempt says nothing of the server.
      case 'later':
        await breaker.leave(call);
        return later(verdict.afterMs);
      case 'put_back':
        await breaker.leave(call);
        if (call.abort.signal.reason === ('server_down' satisfies StopReason)) {
          await this.#write(taken, forgiven(taken.job.data as DocumentJob));
        }
        return PUT_BACK;
    }
  }

  /** Writes a job as changed, unless it went to somebody else meanwhile. */
  async #write({ job, token }: Taken, changed: DocumentJob): Promise<'SAVED' | 'GONE'> {
    const written = await writeJob(this.#parts.redis, { tier: this.#options.tier, id: job.id ?? '', token }, changed);
    if (written === 'SAVED') job.data = changed;
    return written;
  }
}

/** A failure by Redis' clock, which all workers share: it happened now. */
function stamped(verdict: Extract<Verdict, { kind: 'unproven' }>, clock: RedisClock): typeof verdict {
  const failedAtMs = clock.latest(performance.now());
  return { ...verdict, job: { ...verdict.job, unproven: { ...verdict.job.unproven, failedAtMs } } };
}
