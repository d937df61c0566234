import type { ModelCheck, StageModel } from '@spillway/cascade';
import {
  askLackOf,
  backoffMs,
  lackOf,
  type AskKind,
  type BegunCheck,
  type DatedFindings,
  type ModelFindings,
  type SignalName,
} from '@spillway/core';
import { pause, within, type Life } from '@spillway/runtime';

/** A tier whose model is checked. */
export type CheckedTier = {
  readonly tier: string;
  /** By which its answers are judged; none at an expert. */
  readonly signals: readonly SignalName[];
  /** How it is asked beside for its answer. */
  readonly asks: readonly AskKind[];
  readonly check: Pick<ModelCheck, 'begin' | 'complete'> & AsyncDisposable;
  /** Who asks about documents: it is told what the server refuses. */
  readonly model: Pick<StageModel, 'know'>;
  /** Keeps what was found where the API finds it. */
  readonly write: (findings: DatedFindings) => Promise<void>;
};

/** For so long the first documents wait for the answer to one small call, as a server may be busy; then they go. */
const MAX_WAIT_MS = 5_000;

/** A server that is started together with its worker is up by then, if it is a quick one. */
const MAX_START_MS = 5_000;

/** A server that is not up yet is asked again soon, one that somebody must mend less often. */
const ABSENT = { firstMs: 500, maxMs: 5_000 };
const WRONG = { firstMs: 1_000, maxMs: 60_000 };

/** One check of a tier's model, while the worker already works. */
export class TierCheck {
  readonly #life: Pick<Life, 'log' | 'signal' | 'defer'>;
  readonly #tier: CheckedTier;
  readonly #begun = Promise.withResolvers<void>();
  /** What was said of a model that cannot be asked, so that it is said once. */
  readonly #said = new Set<string>();
  readonly #sinceMs = performance.now();

  constructor(life: Pick<Life, 'log' | 'signal' | 'defer'>, tier: CheckedTier) {
    this.#life = life;
    this.#tier = tier;
    life.defer(() => tier.check[Symbol.asyncDispose]());
  }

  /**
   * Starts it. Resolves when documents may be asked about: where their answers are judged, when something is known of
   * the server and was said; where it is asked about drafts, when all is. One that is down is no reason to wait, as the circuit breaker keeps what waits, and a silent
   * one only for a moment.
   */
  async start(): Promise<void> {
    void this.#run().catch((error: unknown) => {
      this.#life.log.warn({ err: error, tier: this.#tier.tier }, 'the check of a model broke off');
      this.#begun.resolve();
    });
    if (this.#tier.signals.length === 0 && this.#tier.asks.length === 0) return;
    await within(MAX_WAIT_MS, this.#begun.promise).catch(() => undefined);
  }

  async #run(): Promise<void> {
    const { signal, log } = this.#life;
    const { tier, check } = this.#tier;
    let failures = 0;
    for (let begun = await check.begin(signal); begun !== null; begun = await check.begin(signal)) {
      if (begun.kind === 'answered') {
        this.#use(begun.found);
        // How a given answer is taken is known at the end only.
        if (this.#tier.asks.length === 0) this.#begun.resolve();
        await this.#write(begun.found);
        const found = await check.complete(begun, signal);
        if (found === null) break;
        this.#tier.model.know(found);
        this.#begun.resolve();
        await this.#write(found);
        log.info({ tier, ...found }, 'the model was checked');
        const lack = askLackOf(found, this.#tier.asks);
        if (lack !== null) log.warn({ tier, reason: lack }, 'drafts are not made use of');
        return;
      }
      this.#complain(begun);
      this.#begun.resolve();
      await this.#write(begun.found);
      failures += 1;
      await pause(backoffMs(failures, Math.random(), begun.kind === 'absent' ? ABSENT : WRONG), signal);
    }
    this.#begun.resolve();
  }

  /** Says before the first document is paid for what its answer would lack. */
  #use(found: ModelFindings): void {
    const { tier, signals, model } = this.#tier;
    const { log } = this.#life;
    if (this.#said.size > 0) log.info({ tier }, 'the model server is there');
    model.know(found);
    const lack = lackOf(found, signals);
    if (lack !== null) log.warn({ tier, reason: lack }, 'every document will escalate');
  }

  /** Once for a server that is not up, louder when it takes long, and once for each thing that somebody must mend. */
  #complain({ kind, found }: Exclude<BegunCheck, { kind: 'answered' }>): void {
    const { tier } = this.#tier;
    const { log } = this.#life;
    const isLong = performance.now() - this.#sinceMs > MAX_START_MS;
    const said = kind === 'wrong' ? (found.problem ?? kind) : isLong ? 'absent for long' : 'absent';
    if (this.#said.has(said)) return;
    this.#said.add(said);
    const fields = { tier, reason: found.problem };
    if (kind === 'wrong') log.error(fields, 'the model cannot be asked');
    else log[isLong ? 'warn' : 'info'](fields, 'waiting for the model server');
  }

  /** What is shown is worth no failure. */
  async #write(found: ModelFindings): Promise<void> {
    const { tier, write } = this.#tier;
    await write({ atMs: Date.now(), found }).catch((error: unknown) =>
      this.#life.log.debug({ err: error, tier }, 'the findings of a check were not written'),
    );
  }
}
