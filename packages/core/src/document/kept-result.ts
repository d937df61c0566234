import { NO_USAGE } from '../accounting/counts.ts';
import { jsonLine } from '../text/json-line.ts';
import { deliveringStage, draftRecord, type StageRecord } from './ending.ts';
import type { CascadeDocument, DocumentJob } from './job.ts';
import { writeKept, type KeptDocument, type KeptStage } from './kept.ts';
import { keptLine } from './kept-line.ts';
import type { Redecided } from './redecide.ts';
import type { UnaskedResult } from './result.ts';

/** A document whose answer is known from the batch that its own was decided anew from. */
export type KeptAnswer = {
  /** As it would be asked about for the first time. */
  readonly document: CascadeDocument;
  readonly kept: KeptDocument;
  readonly decided: Extract<Redecided, { kind: 'settled' }>;
  /** That batch. */
  readonly from: string;
};

/**
 * Its result: what is decided now of what was said then. Nothing was asked, so there are no attempts, no tokens and no
 * waits; and all that is known stays known, for whoever decides once more.
 */
export function keptResult({ document, kept, decided, from }: KeptAnswer): UnaskedResult {
  const { rules } = document;
  const { drafts, by } = decided;
  const stage = drafts.length;
  const job: DocumentJob = { ...document.job, stage, drafts };
  const stages = [...drafts.map(draftRecord), lastRecord({ kept, decided })];
  const delivering = deliveringStage(stages);
  const answer = stages.at(-1)?.answer ?? null;
  if (answer === null)
    throw new Error(`document ${job.document} of ${job.batch} is settled by ${by}, and has no answer`);
  const line = keptLine({ job, rules }, stages, { answer, from });
  const text = writeKept(kept, delivering);
  return {
    line: { part: 'output', text: jsonLine(line) },
    counts: { completed: 1, kept: 1 },
    ...(text === null ? {} : { kept: text }),
  };
}

/** The answer that is final for a document that was decided anew; null: what is kept of it says none. */
export function settledAnswer({
  kept,
  decided: { drafts, by },
}: Pick<KeptAnswer, 'kept' | 'decided'>): KeptStage['answer'] {
  const own = kept.stages[drafts.length];
  if (by === 'verdict' && own?.how?.kind === 'verdict') return drafts[own.how.stage]?.answer ?? null;
  return own?.answer ?? null;
}

/** The stage that decides: with its own draft or answer, or by its verdict on a draft before. */
function lastRecord({ kept, decided }: Pick<KeptAnswer, 'kept' | 'decided'>): StageRecord {
  const { drafts, by, areValuesSure } = decided;
  const own = kept.stages[drafts.length];
  if (own === undefined) throw new RangeError(`nothing is known of stage ${drafts.length + 1}`);
  const { model, how, judgement } = own;
  const answer = settledAnswer({ kept, decided });
  const none = { attempts: [], handedOffAtMs: null, usage: NO_USAGE, kept: true } as const;
  const record = { model, draft: null, answer, how, ...none };
  if (by !== 'draft' || judgement === null || answer === null) {
    return { ...record, outcome: by === 'answer' ? 'answered' : 'accepted' };
  }
  const { ask } = own;
  const { score, confidence, fields, valueScores } = judgement;
  if (confidence === null) throw new Error('a draft without a confidence is never final');
  const draft = { model, ask, answer, score, confidence, fields, how, areValuesSure, valueScores, attempts: [] };
  return { ...record, outcome: 'accepted', draft };
}
