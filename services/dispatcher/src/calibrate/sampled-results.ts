import {
  judgingStages,
  sampledResult,
  sampleIdOf,
  stageOf,
  withKept,
  judgeIn,
  type CascadeRules,
  stageCounter,
  type Draft,
  type Result,
  type Sampled,
  type UnaskedResult,
  type Usage,
} from '@spillway/core';
import type { BatchPlan, Records, Storage } from '@spillway/storage';
import { NOTHING_KNOWN, type Known, type KnownResults, type SomeDocuments } from '../known-results.ts';
import { SampleLines, type SampleLine } from './sample-lines.ts';

/** What a batch's sample said: its documents are not asked about again. */
export class SampledResults implements KnownResults {
  readonly #lines: SampleLines;

  constructor(options: { readonly records: Records; readonly storage: Storage }) {
    this.#lines = new SampleLines(options);
  }

  async of({ plan, page, places }: SomeDocuments): Promise<Known> {
    const at = plan.pages[page];
    if (plan.draws === null || at === undefined) return NOTHING_KNOWN;
    const known = new Gathered(plan, { first: at.first, places });
    for await (const sampled of this.#lines.read(plan, { from: at.first, to: at.first + at.documents })) {
      const place = known.placeOf(sampled);
      if (place === null) continue;
      const result = known.resultOf(sampled);
      if (result === null) known.askAgain(place, sampled);
      else known.results.set(place, withKept(result, await this.#lines.kept(plan, sampled)));
    }
    known.passMissing();
    return known;
  }
}

/** What is known of some documents of a page, a sampled one at a time. */
class Gathered implements Known {
  readonly results = new Map<number, Result | UnaskedResult>();
  readonly drafts = new Map<number, readonly Draft[]>();
  readonly lastStage = new Set<number>();
  readonly spent = new Map<number, readonly Usage[]>();
  readonly #plan: BatchPlan;
  readonly #first: number;
  readonly #wanted: ReadonlySet<number>;

  constructor(plan: BatchPlan, { first, places }: { readonly first: number; readonly places: readonly number[] }) {
    this.#plan = plan;
    this.#first = first;
    this.#wanted = new Set(places);
  }

  /** The place in the page of a document that is asked for; null: it is not. */
  placeOf({ document }: SampleLine): number | null {
    const place = document - this.#first;
    return this.#wanted.has(place) ? place : null;
  }

  /** What the sample said of a document, as the batch's own result; null: that is none of the batch's. */
  resultOf(sampled: SampleLine): Result | UnaskedResult | null {
    const rules = this.#rulesOf(sampled);
    if (rules === undefined || !isFinal(sampled, rules)) return null;
    const { document, place } = sampled;
    const { id: batch } = this.#plan.manifest;
    return sampledResult(sampled, { batch, document, of: { batch: sampleIdOf(batch), document: place } }, rules);
  }

  /** Has a document asked again, by what is known of it. */
  askAgain(place: number, sampled: SampleLine): void {
    const rules = this.#rulesOf(sampled);
    if (rules === undefined) return;
    const { sample, line } = sampled;
    const cascade = line.cascade?.name ?? '';
    this.spent.set(place, spentIn(sample, cascade, rules.stages.length));
    // The threshold is still to be found.
    if (rules.aim !== undefined) return;
    if (sample.drafts !== undefined) this.drafts.set(place, sample.drafts);
    else if (this.#isPromised(cascade)) this.lastStage.add(place);
  }

  /**
   * For a certificate a drawn document that was not answered in time was counted as one whose draft would be wrong, and
   * whose answer is the last stage's.
   */
  passMissing(): void {
    for (const [cascade, { documents }] of Object.entries(this.#plan.draws ?? {})) {
      if (this.#plan.cascades[cascade]?.certificate === undefined) continue;
      for (const document of documents) {
        const place = document - this.#first;
        if (this.#wanted.has(place) && !this.results.has(place)) this.lastStage.add(place);
      }
    }
  }

  #rulesOf({ line }: SampleLine): CascadeRules | undefined {
    return this.#plan.cascades[line.cascade?.name ?? ''];
  }

  #isPromised(cascade: string): boolean {
    const { aim } = this.#plan.manifest.cascades[cascade] ?? {};
    return aim !== undefined && aim.kind !== 'budget';
  }
}

/** What each stage took of a sampled document, from 0. */
const spentIn = ({ counts }: Sampled, cascade: string, stages: number): Usage[] =>
  Array.from({ length: stages }, (_, stage) => ({
    inputTokens: counts[stageCounter(cascade, stage, 'inputTokens')] ?? 0,
    cachedTokens: counts[stageCounter(cascade, stage, 'cachedTokens')] ?? 0,
    outputTokens: counts[stageCounter(cascade, stage, 'outputTokens')] ?? 0,
    reasoningTokens: counts[stageCounter(cascade, stage, 'reasoningTokens')] ?? 0,
  }));

/**
 * Whether a sampled document's answer is the batch's: the expert's always is, as far as it has one; a draft that a budget's
 * sample accepted is so where the threshold that was found accepts it.
 */
function isFinal({ line, sample }: SampleLine, rules: CascadeRules): boolean {
  const { response, cascade } = line;
  if (response === null || response.status_code >= 300 || cascade === undefined) return false;
  const judging = judgingStages(rules);
  const last = judging.at(-1) ?? 0;
  const judgement = sample.judged[judging.length - 1];
  const isByLast = cascade.stage - 1 === last || cascade.by === 'verdict';
  if (cascade.role === 'expert' && cascade.by === undefined) return true;
  if (!isByLast) return true;
  // The threshold is still to be found.
  if (rules.aim !== undefined) return false;
  const acceptAt = judgeIn(stageOf(rules, last))?.acceptAt ?? Infinity;
  return (judgement?.confidence ?? -1) >= acceptAt;
}
