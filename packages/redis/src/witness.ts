import {
  documentSpans,
  keptAtMost,
  keptKind,
  type Configuration,
  type DocumentJob,
  type Ending,
  type NamedModel,
  type Result,
} from '@spillway/core';
import type { Life } from '@spillway/runtime';
import type { Board } from './board.ts';

/** What became of a document, as its worker knows it when settle took the result. */
export type Settlement = { readonly job: DocumentJob; readonly ending: Ending; readonly result: Result };

/** Kept traces are counted for so long after the first: longer than any batch is open. */
const COUNTED_MS = 8 * 86_400_000;

/** Tells metrics and traces of settled documents. Never fails and never waits: work goes on whatever becomes of it. */
export class Witness {
  readonly #board: Board;
  readonly #life: Life;
  readonly #models: ReadonlyMap<string, NamedModel>;
  /** Batches and kinds whose traces are spent. */
  readonly #spent = new Set<string>();

  constructor(board: Board, life: Life, configuration: Pick<Configuration, 'models'>) {
    this.#board = board;
    this.#life = life;
    this.#models = new Map(
      Object.entries(configuration.models).map(([name, { model, base_url }]) => {
        const { hostname, port, protocol } = new URL(base_url);
        return [name, { model, address: hostname, port: Number(port || (protocol === 'https:' ? 443 : 80)) }];
      }),
    );
  }

  /** Whether model servers are told which trace a call belongs to. */
  get propagates(): boolean {
    return this.#life.telemetry.spans !== null;
  }

  /** A result was recorded; nobody else will tell of it. */
  settled(settlement: Settlement): void {
    const settledAtMs = Date.now();
    this.#measure(settlement);
    this.#trace(settlement, settledAtMs).catch((error: unknown) =>
      this.#life.log.debug({ err: error }, 'a trace was not kept'),
    );
  }

  #measure({ job, ending, result }: Settlement): void {
    const { meters } = this.#life.telemetry;
    const { times, counts } = result;
    const cascade = job.cascade;
    const isEscalated = ending.kind !== 'accepted';
    const final = { cascade, 'tier.final': isEscalated ? 'expert' : 'draft' };
    const outcome = counts.completed === 1 ? 'completed' : 'failed';
    meters.count('cascade.documents', 1, { ...final, outcome });
    meters.time('cascade.document.duration', times.totalMs / 1000, final);
    if (times.drafter !== null) meters.time('cascade.queue.wait', times.drafter.queueMs / 1000, { tier: 'draft' });
    if (times.expert !== null) meters.time('cascade.queue.wait', times.expert.queueMs / 1000, { tier: 'expert' });
    if (times.sequentialMs !== null) meters.time('cascade.sequential_wait', times.sequentialMs / 1000, { cascade });
    if (isEscalated) meters.count('cascade.escalations', 1, { cascade, reason: job.draft?.reason ?? 'none' });
    const tokens = (by: number | undefined, tier: string, direction: string): void => {
      if (by !== undefined && by > 0) meters.count('cascade.tokens', by, { cascade, tier, direction });
    };
    tokens(counts.draftInputTokens, 'draft', 'input');
    tokens(counts.draftOutputTokens, 'draft', 'output');
    tokens(counts.expertInputTokens, 'expert', 'input');
    tokens(counts.expertOutputTokens, 'expert', 'output');
    const money = (nanoUsd: number | undefined, tier: string): void => {
      if (nanoUsd !== undefined && nanoUsd > 0) meters.count('cascade.cost', nanoUsd / 1e9, { cascade, tier });
    };
    money(counts.draftNanoUsd, 'draft');
    money(counts.expertNanoUsd, 'expert');
    if ((counts.wastedNanoUsd ?? 0) > 0) {
      meters.count('cascade.wasted.cost', (counts.wastedNanoUsd ?? 0) / 1e9, { cascade });
    }
  }

  async #trace({ job, ending }: Settlement, settledAtMs: number): Promise<void> {
    const { spans } = this.#life.telemetry;
    if (spans === null || !(await this.#keeps(job, ending))) return;
    const models = (name: string): NamedModel | null => this.#models.get(name) ?? null;
    spans.emit(documentSpans({ job, ending, settledAtMs, models, content: spans.settings.content }));
  }

  /** Whether a document's trace is kept: it was drawn when it was fed, or it is one of those that are looked for. */
  async #keeps(job: DocumentJob, ending: Ending): Promise<boolean> {
    if (job.sampled) return true;
    const sampling = this.#life.telemetry.spans?.settings.sampling;
    if (sampling === undefined || sampling.kind === 'share') return false;
    const kind = keptKind(job, ending, sampling.slowMs);
    if (kind === null) return false;
    const most = keptAtMost(sampling.perBatch, kind);
    const name = `${job.batch} ${kind}`;
    if (most === 0 || this.#spent.has(name)) return false;
    const { client, keys } = this.#board;
    const taken = await client.hincrby(keys.traces(job.batch), kind === 'slow' ? 'failed' : kind, 1);
    if (taken === 1) await client.pexpire(keys.traces(job.batch), COUNTED_MS);
    if (taken <= most) return true;
    // Forgotten now and then, so that a process that runs for months does not keep every batch's name.
    if (this.#spent.size >= 10_000) this.#spent.clear();
    this.#spent.add(name);
    return false;
  }
}
