import type { ControlFailure, StageModel } from '@spillway/cascade';
import { areAllSuspects, NO_SUSPECTS, withSuspect, type DocumentJob, type Suspects } from '@spillway/core';
import type { BreakerReport } from './breaker-report.ts';
import type { ConcurrencyLimit } from './concurrency-limit.ts';
import type { RunningCall, RunningCalls } from './running-calls.ts';

/** Asks a model something small, in place of a document. */
export type AskControl = StageModel['askControl'];

export type SuspicionParts = {
  readonly askControl: AskControl;
  readonly calls: RunningCalls;
  readonly limit: ConcurrencyLimit;
  readonly report: BreakerReport;
  readonly stopped: AbortSignal;
  /** Something small was answered, by a call that began then. */
  readonly onAnswered: (begunMs: number) => void;
};

/** For so long, or so many times as long as the slowest answer lately, something small is waited for. */
const MIN_SILENT_MS = 2_000;
const SILENT_TIMES = 2;

/** That a worker's model server answers nobody: several documents fail in a row, and then something small as well. */
export class Suspicion {
  readonly #parts: SuspicionParts;
  #suspects: Suspects = NO_SUSPECTS;
  #isAsking = false;

  constructor(parts: SuspicionParts) {
    this.#parts = parts;
  }

  /** Somebody was answered. */
  clear(): void {
    this.#suspects = NO_SUSPECTS;
  }

  /**
   * A call failed: why not even something small is answered, where all who ask are suspects, and since when nobody is.
   * Null: they are not, or it was answered. `silent` is why, where nothing is said at all.
   */
  async confirm(
    call: RunningCall,
    silent: ControlFailure,
    job: DocumentJob | null,
  ): Promise<(ControlFailure & { readonly silentSinceMs: number }) | null> {
    const { askControl, calls, report, stopped, onAnswered } = this.#parts;
    this.#suspects = withSuspect(this.#suspects, call.id, performance.now());
    const { sinceMs: silentSinceMs } = this.#suspects;
    const others = calls.othersBegunBefore(silentSinceMs, call);
    if (this.#isAsking || !areAllSuspects(this.#suspects, others)) return null;
    this.#isAsking = true;
    const begunMs = performance.now();
    const like = silent.cause === 'operator' && job !== null ? { like: job.body } : {};
    const failure = await askControl({ endpoint: call.endpoint, ...like }, this.#until()).finally(() => {
      this.#isAsking = false;
    });
    const { size } = this.#suspects.documents;
    this.#suspects = NO_SUSPECTS;
    if (failure === 'full' || stopped.aborted) return null;
    if (failure !== null) return { ...(failure === 'stopped' ? silent : failure), silentSinceMs };
    report.onlyControlAnswered(size, silent.reason);
    onAnswered(begunMs);
    return null;
  }

  #until(): AbortSignal {
    const { limit, stopped } = this.#parts;
    const silentMs = Math.max(MIN_SILENT_MS, SILENT_TIMES * (limit.slowestMs ?? 0));
    return AbortSignal.any([stopped, AbortSignal.timeout(Math.ceil(silentMs))]);
  }
}
