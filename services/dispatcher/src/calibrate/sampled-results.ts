import {
  judgingStages,
  sampledResult,
  sampleIdOf,
  stageOf,
  withKept,
  judgeIn,
  type CascadeRules,
  type Draft,
  type Result,
} from '@spillway/core';
import type { Records, Storage } from '@spillway/storage';
import type { Known, KnownResults, SomeDocuments } from '../known-results.ts';
import { SampleLines, type SampleLine } from './sample-lines.ts';

/** What a batch's sample said: its documents are not asked about again. */
export class SampledResults implements KnownResults {
  readonly #lines: SampleLines;

  constructor(options: { readonly records: Records; readonly storage: Storage }) {
    this.#lines = new SampleLines(options);
  }

  async of({ plan, page, places }: SomeDocuments): Promise<Known> {
    const results = new Map<number, Result>();
    const drafts = new Map<number, readonly Draft[]>();
    const lastStage = new Set<number>();
    const at = plan.pages[page];
    if (plan.draws === null || at === undefined) return { results, drafts, lastStage };
    const wanted = new Set(places);
    const { id: batch } = plan.manifest;
    for await (const sampled of this.#lines.read(plan, { from: at.first, to: at.first + at.documents })) {
      const { document, place: placeInSample } = sampled;
      const place = document - at.first;
      const rules = plan.cascades[sampled.line.cascade?.name ?? ''];
      if (!wanted.has(place) || rules === undefined) continue;
      if (isFinal(sampled, rules)) {
        const of = { batch: sampleIdOf(batch), document: placeInSample };
        const result = sampledResult(sampled, { batch, document, of }, rules);
        if (result !== null) results.set(place, withKept(result, await this.#lines.kept(plan, sampled)));
      } else if (rules.aim === undefined) {
        if (sampled.sample.drafts !== undefined) drafts.set(place, sampled.sample.drafts);
        // The expert failed.
        else if (rules.certificate !== undefined) lastStage.add(place);
      }
    }
    return { results, drafts, lastStage };
  }
}

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
