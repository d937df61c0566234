import {
  afterBreak,
  blameFor,
  charged,
  cleared,
  delayed,
  draftToHandOff,
  isAskedAlone,
  JOB_VERSION,
  withLostCall,
  type DocumentJob,
} from '@spillway/core';
import {
  leaveAlone,
  startJob,
  untilRecovered,
  writeJob,
  type RedisClock,
  type RedisStore,
  type Started,
} from '@spillway/redis';
import type { StopReason } from '@spillway/runtime';
import type { Job } from 'bullmq';
import type { BreakerControl } from './breaker-control.ts';
import type { DocumentWorker, Verdict } from './document-worker.ts';
import type { RulesCache } from './rules-cache.ts';
import type { RunningCall, RunningCalls } from './running-calls.ts';
import type { AskControl } from './suspicion.ts';
import { afterGivingUp, delayReason, givenUp, stamped } from './unproven.ts';
import type { WaitWatch } from './wait-watch.ts';
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
  readonly waits: WaitWatch;
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
const MAX_UNKNOWN_MS = 1_500;

/** After so many that were not answered a document probes, in case that only something small is not answered. */
const MAX_REFUSED_CONTROLS = 3;

/** A job as a worker has taken it up. */
type Taken = { readonly job: Job; readonly token: string; readonly started: Started };

/** Handles the jobs of one tier: from whether a document still is to be done to what becomes of its job. */
export class JobHandler {
  readonly #parts: JobHandlerParts;
  readonly #options: JobHandlerOptions;
  /** Calls in a row that probed a server with something small and were not answered. */
  #refusedControls = 0;

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
    // Of an older Spillway, or of a Redis that lost its data: the sweep enqueues the document again, in today's shape.
    if (data.v !== JOB_VERSION) return DONE;
    const taking = { priority: job.priority, answered: breaker.answerToTell(), callMs, losses: job.stalledCounter };
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
    const { pause, calls, waits } = this.#parts;
    const { job, started } = taken;
    const data = job.data as DocumentJob;
    const isAlone = isAskedAlone(data);
    const call: RunningCall = {
      id: job.id ?? '',
      batch: data.batch,
      endpoint: data.endpoint,
      mayTakeLong: data.mayTakeLong === true,
      abort: new AbortController(),
      probeUntilMs: started.state === 'PROBE' ? started.ms : null,
      startedAtMs: performance.now(),
      isAnswered: false,
    };
    try {
      // Taken up while the process was told to stop, or while it pauses: somebody else's.
      if (this.#options.isDraining() || (call.probeUntilMs === null && pause.isPaused)) return PUT_BACK;
      calls.begin(call);
      job.data = await waits.takenUp(job, started);
      const instead = await this.#settleBlame(taken, call);
      return instead ?? (await this.#work(taken, call));
    } finally {
      calls.end(call);
      await this.#leave(call, isAlone);
    }
  }

  /** Makes way for the next one that probes, or is asked alone; else that would be held up until this call's time is over. */
  async #leave(call: RunningCall, isAlone: boolean): Promise<void> {
    const { breaker, redis } = this.#parts;
    const leave = async (): Promise<'LEFT'> => {
      await breaker.leave(call);
      if (isAlone) await leaveAlone(redis, this.#options.tier, call.id);
      return 'LEFT';
    };
    await untilRecovered(leave, this.#options.stopping);
  }

  /**
   * Finds out whose fault the document's last failure was, and whether the server answers again, where that is open: by
   * something small that is asked first, so that no document's own fault is taken for its server's. What is to be done
   * instead of asking about the document; null: it is asked about.
   */
  async #settleBlame({ job, started }: Taken, call: RunningCall): Promise<Disposition | null> {
    const { maxAttempts } = this.#options;
    const data = job.data as DocumentJob;
    if (draftToHandOff(data) !== null) return null;
    if (data.unproven !== undefined && data.unproven.stage !== data.stage) job.data = cleared(data);
    const judged = job.data as DocumentJob;
    const blame = judged.unproven === undefined ? null : blameFor(judged.unproven, started);
    if (blame === 'server') job.data = afterBreak(judged, maxAttempts);
    if (blame === 'document') job.data = charged(judged, maxAttempts);
    // Its last word: its model is not asked any more.
    if (blame !== 'unknown' && (job.data as DocumentJob).unproven !== undefined) return null;
    if (call.probeUntilMs === null && blame !== 'unknown') return null;
    return await this.#askControl(job, blame, call);
  }

  /** Asks something small in the document's place; null: it was answered, and the document may be asked about. */
  async #askControl(
    job: Job,
    blame: 'unknown' | 'server' | 'document' | null,
    call: RunningCall,
  ): Promise<Disposition | null> {
    const { breaker, calls, clock } = this.#parts;
    const { maxAttempts } = this.#options;
    const data = job.data as DocumentJob;
    const isProbe = call.probeUntilMs !== null;
    // Others may show it for nothing, but their answers may take long. Not all at the same moment: each would wait for all.
    const unknownMs = clock.earliest(performance.now()) - (data.unproven?.failedAtMs ?? 0);
    if (!isProbe && calls.size > 1 && unknownMs < MAX_UNKNOWN_MS) return later(UNKNOWN_MS * (0.5 + Math.random()));
    // A server that cannot answer this may yet answer documents: now and then one of them probes.
    if (isProbe && this.#refusedControls >= MAX_REFUSED_CONTROLS && blame === null) {
      this.#refusedControls = 0;
      return null;
    }
    const isOperators = data.unproven?.cause === 'operator';
    const question = { endpoint: data.endpoint, ...(isOperators ? { like: data.body } : {}) };
    const failure = await this.#options.askControl(question, call.abort.signal);
    if (failure === null) {
      this.#refusedControls = 0;
      // What failed while the breaker was open says nothing of the document.
      if (blame === 'unknown') job.data = isProbe ? afterBreak(data, maxAttempts) : charged(data, maxAttempts);
      await breaker.answeredControl(call);
      const askedAtMs = Date.now() - (performance.now() - call.startedAtMs);
      const reason = isProbe ? 'breaker' : 'back_off';
      job.data = delayed(job.data as DocumentJob, { reason, fromMs: askedAtMs, toMs: Date.now() });
      call.startedAtMs = performance.now();
      return null;
    }
    if (failure === 'stopped') return PUT_BACK;
    this.#refusedControls += 1;
    const waitMs = failure === 'full' ? 0 : await breaker.heldControl(failure, call.startedAtMs);
    // Others are answered and this worker is not: not at once again.
    return waitMs > 0 ? PUT_BACK : later(UNKNOWN_MS * (1 + Math.random()));
  }

  async #work(taken: Taken, call: RunningCall): Promise<Disposition> {
    const { documents, rules: cache, breaker } = this.#parts;
    const { job } = taken;
    const data = job.data as DocumentJob;
    const rules = await cache.of(data);
    if (rules === null) return later(RECOVERING_MS);
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
        return DONE;
      case 'unproven':
      case 'hold': {
        const data = taken.job.data as DocumentJob;
        const held =
          verdict.kind === 'hold'
            ? await breaker.held(verdict, withLostCall(data, verdict, delayReason(verdict)), call)
            : await breaker.failed(stamped(verdict, this.#parts.clock), call);
        if (held.kind === 'put_back') {
          await this.#write(taken, held.job);
          return PUT_BACK;
        }
        const { afterMs, reason } = held;
        const { endedAtMs: fromMs } = verdict.kind === 'hold' ? verdict : verdict.job.unproven;
        await this.#write(taken, delayed(held.job, { reason, fromMs, toMs: Date.now() + afterMs }));
        return later(afterMs);
      }
      // What used no attempt says nothing of the server.
      case 'later':
        return later(verdict.afterMs);
      case 'put_back':
        await this.#markGivenUp(taken, call);
        return PUT_BACK;
    }
  }

  /** Writes down that a call was given up, unless its batch is over. */
  async #markGivenUp(taken: Taken, call: RunningCall): Promise<void> {
    const reason = call.abort.signal.reason as StopReason | undefined;
    const changed = afterGivingUp(taken.job.data as DocumentJob, {
      given: givenUp(call, this.#parts.clock),
      reason,
      maxAttempts: this.#options.maxAttempts,
    });
    if (changed !== null) await this.#write(taken, changed);
  }

  /** Writes a job as changed, unless it went to somebody else meanwhile. */
  async #write({ job, token }: Taken, changed: DocumentJob): Promise<'SAVED' | 'GONE'> {
    const written = await writeJob(this.#parts.redis, { tier: this.#options.tier, id: job.id ?? '', token }, changed);
    if (written === 'SAVED') job.data = changed;
    return written;
  }
}
