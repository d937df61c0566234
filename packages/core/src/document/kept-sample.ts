import { agrees } from '../confidence/index.ts';
import { ENDPOINTS } from '../endpoints/index.ts';
import { stageOf } from '../cascade/rules.ts';
import { draftRecord, type StageRecord } from './ending.ts';
import type { Answer, CascadeDocument, DocumentJob, Draft } from './job.ts';
import { NO_USAGE } from '../accounting/counts.ts';
import { writeKept, type KeptDocument } from './kept.ts';
import { keptLine } from './kept-line.ts';
import { keptDraft } from './redecide.ts';
import type { UnaskedResult } from './result.ts';
import { sampleLineText } from './sample-line.ts';

/** What is known of a sampled document from the batch that its own is decided anew from. */
export type KnownSample =
  /** All that the sample is for: nobody need be asked. */
  | { readonly kind: 'settled'; readonly result: UnaskedResult }
  /** These drafts: the stage behind them is to be asked. */
  | { readonly kind: 'asked'; readonly drafts: readonly Draft[] };

export type SampledBefore = {
  /** As it would be asked about for the first time, by the rules of the sample. */
  readonly document: CascadeDocument;
  readonly kept: KeptDocument;
  /** The batch in which it was answered. */
  readonly from: string;
};

/**
 * What a promise's sample knows of a document beforehand. The drafts that are judged by it are those that its batch goes by:
 * made anew, by a model that is another one since, they would promise something of drafts that nobody delivers.
 */
export function keptSample({ document, kept, from }: SampledBefore): KnownSample {
  const { rules } = document;
  const last = rules.stages.length - 1;
  const drafts: Draft[] = [];
  for (const [stage, own] of kept.stages.slice(0, last).entries()) {
    const { judgement: judged, answer } = own;
    // One that was stopped, or failed, says nothing of what its stage would say of the whole.
    if (judged === null || judged.stopped !== undefined || answer === null || drafts.length < stage) break;
    drafts.push({ ...keptDraft(own, judged), reason: judged.reason ?? 'sampled' });
  }
  const expert = kept.stages[last];
  const answer = expert?.answer ?? null;
  const isWhole = expert?.how === undefined || expert.how.kind === 'answer';
  if (drafts.length < last || answer === null || !isWhole || needsJudge(document, drafts, answer)) {
    return { kind: 'asked', drafts };
  }
  const own: StageRecord = {
    model: stageOf(rules, last).model,
    outcome: 'answered',
    draft: null,
    attempts: [],
    handedOffAtMs: null,
    answer,
    usage: NO_USAGE,
    how: expert?.how,
    kept: true,
  };
  return { kind: 'settled', result: resultOfKept({ document, kept, from }, { drafts, own, answer }) };
}

/** Whether only the expert can say if its answer means the same as a draft. */
function needsJudge({ job, rules }: CascadeDocument, drafts: readonly Draft[], answer: Answer): boolean {
  if (rules.agreement !== 'judge') return false;
  const textOf = (one: Answer | null): string | null =>
    one === null ? null : ENDPOINTS[job.endpoint].text(one.body, job.body);
  const expert = textOf(answer);
  return drafts.some((draft) => {
    const text = textOf(draft.answer);
    return text !== null && expert !== null && !agrees(rules.agreement, text, expert);
  });
}

type Known = { readonly drafts: readonly Draft[]; readonly own: StageRecord; readonly answer: Answer };

/** The sample's line; nothing was asked, so there are no attempts, no tokens and no waits. */
function resultOfKept({ document, kept, from }: SampledBefore, { drafts, own, answer }: Known): UnaskedResult {
  const { rules } = document;
  const stages = [...drafts.map(draftRecord), own];
  const job: DocumentJob = { ...document.job, stage: drafts.length, drafts };
  const line = keptLine({ job, rules }, stages, { answer, from });
  const counts = { completed: 1, kept: 1 };
  const text = sampleLineText({ job, rules }, stages, { line, result: { counts, times: null }, sameAs: [] });
  const written = writeKept(kept, drafts.length);
  return { line: { part: 'output', text }, counts, ...(written === null ? {} : { kept: written }) };
}
