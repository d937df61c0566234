import { NO_USAGE } from '../accounting/counts.ts';
import type { HowAsked } from '../cascade/ask.ts';
import { stageOf } from '../cascade/rules.ts';
import type { Usage } from '../endpoints/index.ts';
import type { Take } from './delays.ts';
import {
  attemptsWith,
  type AcceptedDraft,
  type Answer,
  type CascadeDocument,
  type DocumentJob,
  type Draft,
  type NoAnswer,
} from './job.ts';
import type { AttemptError } from './attempt-error.ts';
import type { Attempt, ExtraCall, Passage } from './times.ts';

/** How a document ended. */
export type Ending =
  /** The present stage's draft is final. */
  | { readonly kind: 'accepted'; readonly draft: AcceptedDraft }
  /** The last stage answered. */
  | {
      readonly kind: 'answered';
      readonly answer: Answer;
      readonly startedAtMs: number;
      readonly endedAtMs: number;
      /** Absent: there was one call. */
      readonly extra?: readonly ExtraCall[] | undefined;
      /** Absent: the stage was just asked for its answer. */
      readonly how?: HowAsked | undefined;
      /** Absent: by whom the document was taken up last. */
      readonly take?: Take | undefined;
      /** Set when the answer is an error of the model server. */
      readonly why?: AttemptError;
      /** Of a sampled document: the stages, from 0, whose drafts mean the same by what this one says; absent: it was not asked. */
      readonly sameAs?: readonly number[] | undefined;
    }
  /** The last stage says that an earlier one's draft is right: it is final. */
  | {
      readonly kind: 'confirmed';
      readonly how: Extract<HowAsked, { kind: 'verdict' }>;
      /** Of the call for the verdict. */
      readonly usage: Usage;
      readonly startedAtMs: number;
      readonly endedAtMs: number;
      readonly extra: readonly ExtraCall[];
      readonly take?: Take | undefined;
    }
  /** The last stage has no answer. */
  | {
      readonly kind: 'failed';
      readonly error: NoAnswer;
      readonly why: AttemptError;
      /** Of calls before the one that failed; absent: there were none. */
      readonly extra?: readonly ExtraCall[] | undefined;
      readonly usage?: Usage | undefined;
      readonly startedAtMs: number;
      readonly endedAtMs: number;
      readonly take?: Take | undefined;
    }
  /** The batch's time ran out, and the latest whole draft is delivered; `stage` is its own, from 0. */
  | { readonly kind: 'deadline_draft'; readonly stage: number };

/** What became of a stage. */
export type StageOutcome = 'accepted' | 'answered' | 'escalated' | 'failed' | 'skipped' | 'deadline_draft';

/** What is known of a stage that a document reached. */
export type StageRecord = {
  readonly model: string;
  readonly outcome: StageOutcome;
  /** Accepted or not; null for the last stage. */
  readonly draft: AcceptedDraft | Draft | null;
  readonly attempts: readonly Attempt[];
  readonly handedOffAtMs: number | null;
  /** What it answered, or the draft that is final by its verdict. */
  readonly answer: Answer | null;
  readonly usage: Usage;
  /** Absent: it was just asked for its answer, or has none. */
  readonly how?: HowAsked | undefined;
  /** Nothing was asked in this batch: it is known from another one. */
  readonly kept?: true;
};

const isFailure = (answer: Answer | null): boolean => answer === null || answer.status >= 300;

/** What is known of a stage whose draft was not final. */
export function draftRecord(draft: Draft): StageRecord {
  if (draft.kept === true) return keptRecord(draft);
  const { model, attempts, answer, handedOffAtMs, how, spent = NO_USAGE } = draft;
  const outcome = attempts.length === 0 ? 'skipped' : isFailure(answer) ? 'failed' : 'escalated';
  return { model, outcome, draft, attempts, handedOffAtMs, answer, usage: answer?.usage ?? spent, how };
}

/** The reasons of drafts that there are none of, as nothing was asked. */
const SKIPPED: ReadonlySet<string> = new Set([
  'too_long',
  'needs_image',
  'needs_tools',
  'not_certified',
  'promise_at_risk',
  'sampled',
]);

/** Nothing was asked in this batch, so it has no attempts and took nothing. */
function keptRecord(draft: Draft): StageRecord {
  const { model, answer, reason, how } = draft;
  const isSkipped = answer === null && SKIPPED.has(reason);
  const outcome = isSkipped ? 'skipped' : isFailure(answer) ? 'failed' : 'escalated';
  return { model, outcome, draft, attempts: [], handedOffAtMs: null, answer, usage: NO_USAGE, how, kept: true };
}

/** A draft that was still to be handed off counts as gone on at once: by its hand-off it differs from an accepted one. */
const deadlineRecord = (record: StageRecord): StageRecord => ({
  ...record,
  outcome: 'deadline_draft',
  handedOffAtMs: record.handedOffAtMs ?? record.attempts.at(-1)?.endedAtMs ?? null,
});

/** The stages that a document reached, in order, the one last that delivered or whose verdict an earlier draft is final by. */
export function stagesOf({ job, rules }: CascadeDocument, ending: Ending): StageRecord[] {
  const { model } = stageOf(rules, job.stage);
  const before = job.drafts.map(draftRecord);
  switch (ending.kind) {
    case 'accepted': {
      const { draft } = ending;
      const { attempts, answer, how } = draft;
      const own = { model, draft, attempts, handedOffAtMs: null, answer, usage: answer.usage, how };
      return [...before.slice(0, job.stage), { ...own, outcome: 'accepted' }];
    }
    case 'answered': {
      const { answer, why = null, how } = ending;
      const attempts = attemptsWith(job, ending, why);
      const outcome = isFailure(answer) ? 'failed' : 'answered';
      const own = { model, draft: null, attempts, handedOffAtMs: null, answer, usage: answer.usage, how };
      return [...before, { ...own, outcome }];
    }
    case 'confirmed': {
      const { how, usage } = ending;
      const attempts = attemptsWith(job, ending, null);
      const answer = job.drafts[how.stage]?.answer ?? null;
      return [
        ...before,
        { model, outcome: 'accepted', draft: null, attempts, handedOffAtMs: null, answer, usage, how },
      ];
    }
    case 'failed': {
      const attempts = attemptsWith(job, ending, ending.why);
      const { usage = NO_USAGE } = ending;
      const own = { model, draft: null, attempts, handedOffAtMs: null, answer: null, usage };
      return [...before, { ...own, outcome: 'failed' }];
    }
    case 'deadline_draft':
      return before
        .slice(0, ending.stage + 1)
        .map((one, stage) => (stage === ending.stage ? deadlineRecord(one) : one));
  }
}

/**
 * The stages that drafted after the one whose draft is delivered at the deadline: none of them answered whole. They are
 * in no line and no passage, but what they cost was spent.
 */
export const stagesBeyond = ({ job }: CascadeDocument, ending: Ending): StageRecord[] =>
  ending.kind === 'deadline_draft' ? job.drafts.slice(ending.stage + 1).map(draftRecord) : [];

/** The verdict of the last stage by which an earlier one's draft is final; null: it was asked for no verdict, or said no. */
export function finalVerdict(stages: readonly StageRecord[]): Extract<HowAsked, { kind: 'verdict' }> | null {
  const { outcome = null, how } = stages.at(-1) ?? {};
  return outcome === 'accepted' && how?.kind === 'verdict' ? how : null;
}

/** The stage, from 0, whose answer is delivered: the last one, unless by its verdict the draft of an earlier one is final. */
export const deliveringStage = (stages: readonly StageRecord[]): number =>
  finalVerdict(stages)?.stage ?? stages.length - 1;

/** How a stage judged its own draft, or the one that it was asked about; null: it judged none. */
export const judgementOf = ({ draft, how }: StageRecord): Pick<Draft, 'score' | 'confidence'> | null =>
  how?.kind === 'verdict' ? how : draft;

/** Whether the first stage's draft was not final by itself. */
export const isEscalated = (stages: readonly StageRecord[]): boolean =>
  stages.length > 1 || stages[0]?.outcome === 'deadline_draft';

/** The stages that a document reached whose batch ended before it did, the present one included. */
export function begunStages({ job, rules }: CascadeDocument): StageRecord[] {
  const before = job.drafts.map(draftRecord);
  const { attempts, spent = NO_USAGE } = job;
  if (before.length > job.stage) return before;
  const { model } = stageOf(rules, job.stage);
  const own = { model, draft: null, attempts, handedOffAtMs: null, answer: null, usage: spent };
  return [...before, { ...own, outcome: 'failed' }];
}

/** When the last attempt of an ending was over; Unix milliseconds. */
function endedAt(job: DocumentJob, stages: readonly StageRecord[]): number {
  return stages.at(-1)?.attempts.at(-1)?.endedAtMs ?? job.enqueuedAtMs;
}

/** Where a document has been. */
export function passageOf({ job }: CascadeDocument, stages: readonly StageRecord[]): Passage {
  const passed = stages.map(({ attempts, handedOffAtMs }) => ({ attempts, handedOffAtMs }));
  return { enqueuedAtMs: job.enqueuedAtMs, stages: passed, endedAtMs: endedAt(job, stages) };
}

/**
 * The stage, from 0, whose draft is delivered when a batch's time runs out: the latest that answered whole. A draft that
 * was refused, cut short or empty is no answer. Null: there is none.
 */
export function deadlineStage(job: DocumentJob): number | null {
  const found = job.drafts.findLastIndex(
    ({ answer, reason, stopped }) => stopped === undefined && !isFailure(answer) && !UNFIT.has(reason),
  );
  return found === -1 ? null : found;
}

const UNFIT: ReadonlySet<string> = new Set([
  'truncated',
  'unclosed_thought',
  'content_filter',
  'refused',
  'empty_answer',
]);
