import {
  deliveringStage,
  documentSpans,
  formatKindOf,
  isCalibrated,
  judgeIn,
  keptAtMost,
  keptKind,
  roleOf,
  showWarning,
  stageCounter,
  stageOf,
  stagesOf,
  stageTier,
  tierLabels,
  type AuditEntry,
  type CascadeDocument,
  type Configuration,
  type Draft,
  type Ending,
  type KeptKind,
  type NamedModel,
  type Result,
  type Warning,
} from '@spillway/core';
import type { Life } from '@spillway/runtime';
import type { StageOutcome } from '../stage.ts';
import { attemptLine } from './attempt-line.ts';

/** A document whose result was recorded. */
export type Settlement = {
  readonly document: CascadeDocument;
  readonly ending: Ending;
  readonly result: Result;
  readonly isTraced: boolean;
};

export type DocumentTelemetryOptions = {
  readonly configuration: Pick<Configuration, 'models'>;
  /** The share of attempts that are logged; failed ones are in any case. */
  readonly loggedShare: number;
  /** Takes one of the traces that a batch may keep of a kind; false: they are spent. */
  readonly takeTrace: (batch: string, kind: KeptKind, max: number) => Promise<boolean>;
};

/** What is known of batches is forgotten now and then, so that a process that runs for months stays small. */
const MAX_REMEMBERED = 10_000;

/** Tells log, metrics and traces of documents. Never fails: work goes on whatever becomes of it. */
export class DocumentTelemetry {
  readonly #life: Pick<Life, 'log' | 'telemetry'>;
  readonly #options: DocumentTelemetryOptions;
  readonly #models: ReadonlyMap<string, NamedModel>;
  /** Batches and kinds whose traces are spent. */
  readonly #spent = new Set<string>();
  /** Batches and stages of which it was told that their calibration was made with other answers. */
  readonly #told = new Set<string>();

  constructor(life: Pick<Life, 'log' | 'telemetry'>, options: DocumentTelemetryOptions) {
    this.#life = life;
    this.#options = options;
    this.#models = new Map(
      Object.entries(options.configuration.models).map(([name, { model, base_url }]) => {
        const { hostname, port, protocol } = new URL(base_url);
        return [name, { model, address: hostname, port: Number(port || (protocol === 'https:' ? 443 : 80)) }];
      }),
    );
  }

  /** Whether model servers are told which trace a call belongs to. */
  get propagates(): boolean {
    return this.#life.telemetry.spans !== null;
  }

  /** An attempt of a stage is over: one wide line, for some of them, and for all that failed. */
  attempted(document: CascadeDocument, outcome: StageOutcome): void {
    const { log } = this.#life;
    if (!log.isLevelEnabled('info')) return;
    const isChosen = Math.random() < this.#options.loggedShare;
    const line = attemptLine(document, outcome, isChosen);
    if (line !== null) log.info(line, 'attempt');
  }

  /**
   * A draft of a batch was judged. Where its calibration was made with other kinds of answers its line says that the
   * confidence is not calibrated, and the log does once for a batch and a stage.
   */
  judged({ job, rules }: CascadeDocument, outcome: StageOutcome): void {
    const judge = judgeIn(stageOf(rules, job.stage));
    const kind = formatKindOf(job.endpoint, job.body);
    if (judge === null || judge.confidence.calibration === null || isCalibrated(judge, kind)) return;
    if ((judgementIn(outcome)?.confidence ?? null) === null) return;
    const { batch, cascade, stage } = job;
    const name = `${batch} ${cascade} ${stage}`;
    if (this.#told.has(name)) return;
    remember(this.#told, name);
    const tier = stageTier(rules, stage);
    this.#life.log.warn(
      { batch, cascade, stage: stage + 1, tier, response_format: kind, made_with: judge.formats },
      'the calibration was made with other response formats',
    );
  }

  /** None of a batch's first drafts of a tier could be judged: told once, by the process that gets this. */
  unjudged(batch: string, warning: Warning): void {
    const { message, code: _, ...fields } = showWarning(warning);
    this.#life.log.warn({ batch, ...fields, detail: message }, 'none of the first drafts could be judged');
  }

  /** Whether the trace of a document that has come to its end is kept; to be asked before its result is recorded. */
  async isTraced(document: CascadeDocument, ending: Ending): Promise<boolean> {
    if (this.#life.telemetry.spans === null) return false;
    try {
      return await this.#keeps(document, ending);
    } catch (error) {
      this.#life.log.debug({ err: error }, 'a trace was not kept');
      return false;
    }
  }

  /** A result was recorded; nobody else will tell of it. */
  settled(settlement: Settlement): void {
    this.#measure(settlement);
    if (settlement.isTraced) this.#trace(settlement, Date.now());
  }

  /** The expert said whether an accepted draft is what it says. */
  audited({ job, rules }: CascadeDocument, { inputTokens, outputTokens, nanoUsd }: AuditEntry): void {
    const spent = { input: inputTokens, output: outputTokens, nanoUsd, wastedNanoUsd: 0 };
    this.#spend(job.cascade, tierLabels(stageTier(rules, job.stage)), spent);
  }

  #measure({ document, ending, result }: Settlement): void {
    const { meters } = this.#life.telemetry;
    const { rules } = document;
    const { times, counts, cascade } = result;
    const stages = stagesOf(document, ending);
    const final = { cascade, final_stage: String(deliveringStage(stages) + 1) };
    const outcome = counts.completed === 1 ? 'completed' : 'failed';
    meters.count('cascade.documents', 1, { ...final, outcome });
    meters.time('cascade.document.duration', times.totalMs / 1000, final);
    if (times.sequentialMs !== null) meters.time('cascade.sequential_wait', times.sequentialMs / 1000, { cascade });
    for (const [stage, { draft, outcome: became, kept }] of stages.entries()) {
      // The batch that asked has told of it.
      if (kept === true) continue;
      const tier = tierLabels(stageTier(rules, stage));
      const own = times.stages[stage];
      const counted = (name: Parameters<typeof stageCounter>[2]): number =>
        counts[stageCounter(cascade, stage, name)] ?? 0;
      if (own != null) meters.time('cascade.queue.wait', own.queueMs / 1000, tier);
      for (const [reason, ms] of Object.entries(own?.delaysMs ?? {})) {
        meters.time('cascade.delay', ms / 1000, { ...tier, reason });
      }
      if (became !== 'accepted' && roleOf(rules, stage) === 'drafter') {
        const reason = draft !== null && 'reason' in draft ? draft.reason : 'none';
        meters.count('cascade.escalations', 1, { cascade, stage: String(stage + 1), reason });
      }
      this.#spend(cascade, tier, {
        input: counted('inputTokens'),
        output: counted('outputTokens'),
        nanoUsd: counted('nanoUsd'),
        wastedNanoUsd: counted('wastedNanoUsd'),
      });
    }
  }

  /** What a stage's calls for a document read, wrote and cost. */
  #spend(
    cascade: string,
    tier: ReturnType<typeof tierLabels>,
    spent: Readonly<Record<'input' | 'output' | 'nanoUsd' | 'wastedNanoUsd', number>>,
  ): void {
    const { meters } = this.#life.telemetry;
    for (const direction of ['input', 'output'] as const) {
      if (spent[direction] > 0) meters.count('cascade.tokens', spent[direction], { cascade, ...tier, direction });
    }
    if (spent.nanoUsd > 0) meters.count('cascade.cost', spent.nanoUsd / 1e9, { cascade, ...tier });
    if (spent.wastedNanoUsd > 0) meters.count('cascade.wasted.cost', spent.wastedNanoUsd / 1e9, { cascade });
  }

  #trace({ document, ending }: Settlement, settledAtMs: number): void {
    const { spans } = this.#life.telemetry;
    if (spans === null) return;
    const models = (name: string): NamedModel | null => this.#models.get(name) ?? null;
    spans.emit(documentSpans({ document, ending, settledAtMs, models, content: spans.settings.content }));
  }

  /** Whether a document's trace is kept: it was drawn when it was enqueued, or it is one of those that are looked for. */
  async #keeps(document: CascadeDocument, ending: Ending): Promise<boolean> {
    const { sampled, batch } = document.job;
    if (sampled) return true;
    const sampling = this.#life.telemetry.spans?.settings.sampling;
    if (sampling === undefined || sampling.kind === 'share') return false;
    const kind = keptKind(document, ending, sampling.slowMs);
    if (kind === null) return false;
    const max = keptAtMost(sampling.perBatch);
    const name = `${batch} ${kind}`;
    if (max === 0 || this.#spent.has(name)) return false;
    if (await this.#options.takeTrace(batch, kind, max)) return true;
    remember(this.#spent, name);
    return false;
  }
}

function remember(names: Set<string>, name: string): void {
  if (names.size >= MAX_REMEMBERED) names.clear();
  names.add(name);
}

/** How an attempt judged a draft, its own or the one before it; null: it judged none. */
function judgementIn(outcome: StageOutcome): Pick<Draft, 'confidence'> | null {
  if (outcome.kind === 'escalate') return outcome.job.drafts[outcome.job.stage] ?? null;
  if (outcome.kind !== 'settle') return null;
  const { ending } = outcome;
  if (ending.kind === 'accepted') return ending.draft;
  return 'how' in ending && ending.how?.kind === 'verdict' ? ending.how : null;
}
