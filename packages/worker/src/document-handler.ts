import {
  afterBreak,
  afterOwnFailure,
  blameFor,
  charged,
  cleared,
  delayed,
  draftToHandOff,
  isAskedAlone,
  withLostCall,
} from '@spillway/core';
import { leaveAlone, untilRecovered, type RedisClock, type RedisStore } from '@spillway/redis';
import type { StopReason } from '@spillway/runtime';
import type { BreakerControl } from './breaker-control.ts';
import { later, PUT_BACK, type Disposition } from './disposition.ts';
import type { DocumentWorker, Verdict } from './document-worker.ts';
import type { HeldDocument } from './held-document.ts';
import type { RulesCache } from './rules-cache.ts';
import type { RunningCall, RunningCalls } from './running-calls.ts';
import type { AskControl } from './suspicion.ts';
import { afterGivingUp, delayReason, givenUp, stamped } from './unproven.ts';
import type { WaitWatch } from './wait-watch.ts';
import type { WorkerPause } from './worker-pause.ts';

export type DocumentHandlerOptions = {
  readonly tier: string;
  /** How many calls a document has. */
  readonly maxAttempts: number;
  readonly askControl: AskControl;
  /** No more documents are begun. */
  readonly isDraining: () => boolean;
  /** Aborted when the process must end now. */
  readonly stopping: AbortSignal;
  /** Called with what a finished document took, in seconds. */
  readonly onDone: (seconds: number) => void;
};

export type DocumentHandlerParts = {
  readonly redis: RedisStore;
  readonly documents: DocumentWorker;
  readonly rules: RulesCache;
  readonly breaker: BreakerControl;
  readonly pause: WorkerPause;
  readonly calls: RunningCalls;
  readonly clock: RedisClock;
  readonly waits: WaitWatch;
};

/** Redis does not have the batch's rules yet. */
const RECOVERING_MS = 500;

/** Others are asked about meanwhile, and what comes of them shows whose fault a failure was. */
const UNKNOWN_MS = 500;
const MAX_UNKNOWN_MS = 1_500;

/** After so many that were not answered a document probes, in case that only something small is not answered. */
const MAX_REFUSED_CONTROLS = 3;

/** Handles documents that a worker may begin with: from whose fault a last failure was to what becomes of them now. */
export class DocumentHandler {
  readonly #parts: DocumentHandlerParts;
  readonly #options: DocumentHandlerOptions;
  /** Calls in a row that probed a server with something small and were not answered. */
  #refusedControls = 0;

  constructor(parts: DocumentHandlerParts, options: DocumentHandlerOptions) {
    this.#parts = parts;
    this.#options = options;
  }

  /** Makes an attempt at a document that may be begun, or finds out first whether it can be. */
  async handle(held: HeldDocument): Promise<Disposition> {
    const { pause, calls, waits } = this.#parts;
    const { data } = held;
    const { started } = held.options;
    const isAlone = isAskedAlone(data);
    const call: RunningCall = {
      id: held.id,
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
      held.data = await waits.takenUp(held);
      const instead = await this.#settleBlame(held, call);
      return instead ?? (await this.#work(held, call));
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
  async #settleBlame(held: HeldDocument, call: RunningCall): Promise<Disposition | null> {
    const { maxAttempts } = this.#options;
    const { data } = held;
    if (draftToHandOff(data) !== null) return null;
    if (data.unproven !== undefined && data.unproven.stage !== data.stage) held.data = cleared(data);
    const judged = held.data;
    const blame = judged.unproven === undefined ? null : blameFor(judged.unproven, held.options.started);
    if (blame === 'server') held.data = afterBreak(judged, maxAttempts);
    if (blame === 'document') held.data = afterOwnFailure(judged, maxAttempts);
    // Its last word: its model is not asked any more.
    if (blame !== 'unknown' && held.data.unproven !== undefined) return null;
    if (call.probeUntilMs === null && blame !== 'unknown') return null;
    return await this.#askControl(held, blame, call);
  }

  /** Asks something small in the document's place; null: it was answered, and the document may be asked about. */
  async #askControl(
    held: HeldDocument,
    blame: 'unknown' | 'server' | 'document' | null,
    call: RunningCall,
  ): Promise<Disposition | null> {
    const { breaker, calls, clock } = this.#parts;
    const { maxAttempts } = this.#options;
    const { data } = held;
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
      if (blame === 'unknown') held.data = isProbe ? afterBreak(data, maxAttempts) : charged(data, maxAttempts);
      await breaker.answeredControl(call);
      const askedAtMs = Date.now() - (performance.now() - call.startedAtMs);
      const reason = isProbe ? 'breaker' : 'back_off';
      held.data = delayed(held.data, { reason, fromMs: askedAtMs, toMs: Date.now() });
      call.startedAtMs = performance.now();
      return null;
    }
    if (failure === 'stopped') return PUT_BACK;
    this.#refusedControls += 1;
    const waitMs = failure === 'full' ? 0 : await breaker.heldControl(failure, call.startedAtMs);
    // Others are answered and this worker is not: not at once again.
    return waitMs > 0 ? PUT_BACK : later(UNKNOWN_MS * (1 + Math.random()));
  }

  async #work(held: HeldDocument, call: RunningCall): Promise<Disposition> {
    const { documents, rules: cache, breaker, clock } = this.#parts;
    const { data } = held;
    const rules = await cache.of(data, held.options.started.rulesVersion);
    if (rules === null) return later(RECOVERING_MS);
    const verdict = await documents.work(
      { job: data, rules },
      {
        signal: call.abort.signal,
        stopping: this.#options.stopping,
        nowMs: clock.earliest(performance.now()),
        stalls: held.options.losses,
        onAnswered: (how) => breaker.answered(call, how),
        held,
      },
    );
    return await this.#conclude(verdict, held, call);
  }

  /** Tells the breaker what the attempt says of the server, and writes the job where it was changed. */
  async #conclude(verdict: Verdict, held: HeldDocument, call: RunningCall): Promise<Disposition> {
    const { breaker, redis } = this.#parts;
    switch (verdict.kind) {
      case 'done':
        this.#options.onDone((performance.now() - call.startedAtMs) / 1_000);
        return verdict;
      case 'unproven':
      case 'hold': {
        const { data } = held;
        const outcome =
          verdict.kind === 'hold'
            ? await breaker.held(verdict, withLostCall(data, verdict, delayReason(verdict)), call)
            : await breaker.failed(stamped(verdict, this.#parts.clock), call);
        if (outcome.kind === 'put_back') {
          await held.write(redis, outcome.job);
          return PUT_BACK;
        }
        const { afterMs, reason } = outcome;
        const { endedAtMs: fromMs } = verdict.kind === 'hold' ? verdict : verdict.job.unproven;
        await held.write(redis, delayed(outcome.job, { reason, fromMs, toMs: Date.now() + afterMs }));
        return later(afterMs);
      }
      // What used no attempt says nothing of the server.
      case 'later':
        return later(verdict.afterMs);
      case 'put_back':
        await this.#markGivenUp(held, call);
        return PUT_BACK;
    }
  }

  /** Writes down that a call was given up, unless its batch is over. */
  async #markGivenUp(held: HeldDocument, call: RunningCall): Promise<void> {
    const reason = call.abort.signal.reason as StopReason | undefined;
    const changed = afterGivingUp(held.data, {
      given: givenUp(call, this.#parts.clock),
      reason,
      maxAttempts: this.#options.maxAttempts,
    });
    if (changed !== null) await held.write(this.#parts.redis, changed);
  }
}
