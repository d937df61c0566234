import type { EndpointUrl } from '@spillway/core';
import type { StopReason } from '@spillway/runtime';

/** A document about which the model is asked. Times are on the clock that never goes back. */
export type RunningCall = {
  /** The id of its job. */
  readonly id: string;
  readonly batch: string;
  readonly endpoint: EndpointUrl;
  /** It was given up before, so that its answer may be one that takes very long. */
  readonly mayTakeLong: boolean;
  /** Until when it probes a server whose breaker is open; null: the breaker was closed. */
  readonly probeUntilMs: number | null;
  /** Anew once something small was answered in its document's place. */
  startedAtMs: number;
  readonly abort: AbortController;
  /** The server showed that it works. */
  isAnswered: boolean;
};

/** The calls of a worker that are under way. */
export class RunningCalls {
  readonly #calls = new Set<RunningCall>();
  #empty = Promise.withResolvers<void>();
  #changedAtMs = performance.now();

  get size(): number {
    return this.#calls.size;
  }

  /** When a call last began or ended. */
  get changedAtMs(): number {
    return this.#changedAtMs;
  }

  /** The endpoint of one of them. */
  get endpoint(): EndpointUrl {
    return this.#calls.values().next().value?.endpoint ?? '/v1/chat/completions';
  }

  /** Resolves once none is under way. */
  get empty(): Promise<void> {
    return this.#calls.size === 0 ? Promise.resolve() : this.#empty.promise;
  }

  begin(call: RunningCall): void {
    this.#changedAtMs = performance.now();
    this.#calls.add(call);
  }

  end(call: RunningCall): void {
    this.#changedAtMs = performance.now();
    this.#calls.delete(call);
    if (this.#calls.size > 0) return;
    this.#empty.resolve();
    this.#empty = Promise.withResolvers();
  }

  /** How many others than this one began before a time. */
  othersBegunBefore(ms: number, one: RunningCall): number {
    let others = 0;
    for (const call of this.#calls) if (call.startedAtMs < ms && call !== one) others += 1;
    return others;
  }

  /** Gives up those that fit, with the reason that tells what becomes of their documents. */
  giveUp(reason: StopReason, fits: (call: RunningCall) => boolean): void {
    for (const call of this.#calls) if (fits(call)) call.abort.abort(reason);
  }
}
