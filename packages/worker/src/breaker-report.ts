import { tierLabels, type BreakerCause } from '@spillway/core';
import type { Life } from '@spillway/runtime';

/** So many requests in a row that the server calls wrong, and none that it answers, are no document's fault. */
const MANY_REJECTIONS = 20;

/** Fewer may all be guilty. */
const MANY_FAILURES = 8;

/** What a worker tells of its tier's breaker, in the log and in the metrics. */
export class BreakerReport {
  readonly #tier: string;
  readonly #life: Life;
  readonly #limit: () => number;
  #rejections = 0;

  constructor(tier: string, life: Life, limit: () => number) {
    this.#tier = tier;
    this.#life = life;
    this.#limit = limit;
    life.telemetry.meters.begin('cascade.breaker.openings', [tierLabels(tier)]);
  }

  /** Logs the first opening in a row; the metric counts them all. Null: only this worker waits. */
  opening(
    {
      cause,
      reason,
      said,
    }: { readonly cause: BreakerCause; readonly reason: string; readonly said?: string | undefined },
    opening: { readonly waitMs: number; readonly openings: number } | null,
  ): void {
    const { log, telemetry } = this.#life;
    const tier = this.#tier;
    telemetry.meters.count('cascade.breaker.openings', 1, tierLabels(tier));
    const fields = { tier, reason, limit: this.#limit() };
    if (opening === null) return log.warn(fields, 'this worker waits for its model server');
    if (opening.openings > 1) return;
    const shown = { ...fields, waitMs: opening.waitMs, said };
    if (cause === 'operator') {
      log.error(shown, 'the circuit breaker is open until somebody mends this');
    } else if (cause === 'down') log.warn(shown, 'the circuit breaker is open');
    else log.info(shown, 'the model server asked to be left alone for a while');
  }

  /** Many documents fail in a row, and something small is answered: they pay for it, and somebody has to know. */
  onlyControlAnswered(documents: number, reason: string): void {
    if (documents < MANY_FAILURES) return;
    this.#life.log.error({ tier: this.#tier, documents, reason }, 'the model server answers nothing but control calls');
  }

  /** A server that calls every request wrong says so of a setting, not of documents, whose rule applies all the same. */
  rejections(how: 'completed' | 'rejected'): void {
    this.#rejections = how === 'completed' ? 0 : this.#rejections + 1;
    if (this.#rejections !== MANY_REJECTIONS) return;
    const fields = { tier: this.#tier, rejected: MANY_REJECTIONS, lookAt: ['request', 'rename', 'drop'] };
    this.#life.log.error(fields, 'the model server calls every request wrong');
  }
}
