import {
  attemptsWith,
  byDoubt,
  charged,
  draftToHandOff,
  firstWords,
  isLastStage,
  jobWithSpent,
  leastSure,
  passedBy,
  scoreBegun,
  stageOf,
  withDraft,
  type AcceptedDraft,
  type CascadeDocument,
  type DocumentJob,
  type Draft,
  type Ending,
  type JudgeRule,
  type Unproven,
} from '@spillway/core';
import { runSliced, type StopReason } from '@spillway/runtime';
import { askStage } from './ask/index.ts';
import type { Asked, AttemptOptions, Held, StoppedCall } from './asked.ts';
import { compareDrafts } from './comparison.ts';
import { gatherEvidence, type Gathered } from './evidence.ts';
import { judgeAnswer, judgeMerged, type JudgedAnswer } from './judged-answer.ts';
import { withSpent } from './spent.ts';
import type { StageModel } from './stage-model.ts';

/** What is to be done with a document after an attempt of its stage. */
export type StageOutcome =
  /** The document has come to its end. */
  | { readonly kind: 'settle'; readonly ending: Ending }
  /** The draft is not final; the job has it written down, to be handed off to the next stage. */
  | { readonly kind: 'escalate'; readonly job: DocumentJob }
  /**
   * The call failed, and whose fault that was shows what comes of others: the job has it written down, to be asked about
   * again after a while. The driver finds out; a job that comes here with it has it for its last word.
   */
  | ({
      readonly kind: 'unproven';
      readonly job: DocumentJob & { readonly unproven: Unproven };
      /** If it is the document's own, it is its last word. */
      readonly isLast: boolean;
    } & Failed)
  /** Not the document's fault: the tier waits, slows down, or the document does. No attempt was used. */
  | ({ readonly kind: 'hold' } & Held)
  /** Given up, as the process stops or the batch ends. */
  | { readonly kind: 'stopped'; readonly reason: StopReason };

type Failed = Pick<Extract<Asked, { kind: 'unproven' }>, 'cause' | 'reason' | 'afterMs' | 'isTimeout' | 'isBrokenOff'>;

/**
 * ★ The one place where a document is answered: ask its stage's model, gather what the draft is judged by, judge it,
 * route it. What is done with the outcome is the driver's: the worker's loop, or a direct answer.
 */
export async function runStage(
  model: StageModel,
  document: CascadeDocument,
  options: AttemptOptions,
): Promise<StageOutcome> {
  const { job, rules } = document;
  // A worker before this one got as far as writing the draft down: only the hand-off is left.
  if (draftToHandOff(job) !== null) return { kind: 'escalate', job };
  // None of its drafts would be final.
  if (rules.tightened === true && !isLastStage(rules, job.stage)) return { kind: 'escalate', job: passedBy(document) };
  // It was the document's own failure, and its last word.
  if (job.unproven !== undefined) return conclude(document, withSpent(lastWordOf(job.unproven), job.spent));
  const { judge: rule } = stageOf(rules, job.stage);
  const asked = await askStage(model, document, options);
  switch (asked.kind) {
    case 'hold':
    case 'stopped':
      return asked;
    case 'unproven':
      return unprovenOutcome(model, job, asked);
    case 'rejected':
    case 'exhausted':
      return conclude(document, withSpent(asked, job.spent));
    case 'confirmed':
      return { kind: 'settle', ending: withSpent(asked, job.spent) };
    case 'answered':
      if (rule === null) return await concludeCompared(model, document, { asked, options });
      return await judgeDraft(model, document, { asked, rule, options });
  }
}

/** A failure as the document carries it along; the driver knows the clock that all workers share. */
function unprovenOutcome(
  { maxAttempts }: StageModel,
  job: DocumentJob,
  asked: Extract<Asked, { kind: 'unproven' }>,
): StageOutcome {
  const { cause, reason, afterMs, isTimeout, isBrokenOff, answer, error, why, startedAtMs, endedAtMs, spent } = asked;
  const { take } = job;
  const span = { startedAtMs, endedAtMs, failedAtMs: endedAtMs };
  const unproven = { stage: job.stage, cause, answer, error, why, ...span, take };
  const carrying = { ...jobWithSpent(job, spent), unproven };
  const isLast = charged(carrying, maxAttempts) === carrying;
  return { kind: 'unproven', cause, reason, afterMs, isTimeout, isBrokenOff, isLast, job: carrying };
}

type Concluded = Extract<Asked, { kind: 'answered' | 'rejected' | 'exhausted' }>;

/** What a document gets for a failure that was its own fault, and its last attempt or a refusal. */
function lastWordOf({
  cause,
  answer,
  error,
  why,
  startedAtMs,
  endedAtMs,
  take,
}: Unproven): Exclude<Concluded, { kind: 'answered' }> {
  const span = { startedAtMs, endedAtMs, take };
  if (cause === 'operator' && answer !== null) return { kind: 'rejected', answer, why, ...span };
  return { kind: 'exhausted', answer, error, why, ...span };
}

/** The last stage's answer; of a sampled or audited document it may be asked besides which drafts mean the same. */
async function concludeCompared(
  model: StageModel,
  document: CascadeDocument,
  { asked, options }: { readonly asked: Extract<Asked, { kind: 'answered' }>; readonly options: AttemptOptions },
): Promise<StageOutcome> {
  const { job, rules } = document;
  const { spent } = job;
  const isCompared = rules.sample === 'promise' || job.audit !== undefined;
  if (!isCompared || rules.agreement !== 'judge') return conclude(document, withSpent(asked, spent));
  const compared = await compareDrafts(model, document, asked, options);
  if ('sameAs' in compared) {
    const ending = finalEnding(withSpent(compared.asked, spent));
    return { kind: 'settle', ending: { ...ending, sameAs: compared.sameAs } as Ending };
  }
  return compared.kind === 'unproven' ? unprovenOutcome(model, job, compared) : compared;
}

/** The last word of a stage that is not judged: the last one's, or that of a drafter which has no draft. */
function conclude(document: CascadeDocument, asked: Concluded): StageOutcome {
  const { job, rules } = document;
  if (stageOf(rules, job.stage).judge === null || asked.kind === 'answered') {
    return { kind: 'settle', ending: finalEnding(asked) };
  }
  return { kind: 'escalate', job: withDraft(job, failedDraft(document, asked)) };
}

/** The last stage's answer is final, whatever it is. */
function finalEnding(asked: Concluded): Ending {
  const { startedAtMs, endedAtMs, take } = asked;
  const span = { startedAtMs, endedAtMs, take };
  if (asked.kind === 'answered') {
    const { answer, how, extra } = asked;
    return { kind: 'answered', answer, how, extra, ...span };
  }
  const { why, extra, spent } = asked;
  if (asked.answer !== null) return { kind: 'answered', answer: asked.answer, why, extra, ...span };
  if (asked.kind === 'rejected') throw new Error('a rejection has an answer');
  return { kind: 'failed', error: asked.error, why, extra, usage: spent, ...span };
}

/** What is written down of a stage that has no draft. */
function failedDraft({ job, rules }: CascadeDocument, asked: Exclude<Concluded, { kind: 'answered' }>): Draft {
  const { model, ask } = stageOf(rules, job.stage);
  return {
    model,
    ask,
    answer: null,
    score: null,
    confidence: null,
    fields: null,
    evidence: null,
    reason: asked.kind === 'rejected' ? 'drafter_rejected' : 'draft_failed',
    said: asked.why.said ?? asked.why.message,
    ...(asked.spent === undefined ? {} : { spent: asked.spent }),
    attempts: attemptsWith(job, asked, asked.why),
    handedOffAtMs: null,
  };
}

type Judging = {
  readonly asked: Extract<Asked, { kind: 'answered' }>;
  readonly rule: JudgeRule;
  readonly options: AttemptOptions;
};

async function judgeDraft(
  model: StageModel,
  document: CascadeDocument,
  { asked, rule, options }: Judging,
): Promise<StageOutcome> {
  const { confidence } = rule;
  const { job } = document;
  if (asked.stopped !== null) {
    const paid = withSpent(asked, job.spent);
    return await stoppedOutcome(document, { asked: paid, stopped: asked.stopped, rule });
  }
  const gathered = await gatherEvidence(model, document, { asked, confidence, options });
  if (gathered.kind === 'unproven') return unprovenOutcome(model, document.job, gathered);
  if (gathered.kind !== 'gathered') return gathered;
  const { answer } = withSpent({ ...asked, answer: gathered.answer }, job.spent);
  const { values: merged } = asked;
  const judged =
    merged === undefined ? await judgeAnswer(document, gathered, rule) : judgeMerged(document, merged, rule);
  const { decision, sureValues, evidence } = judged;
  const drafted = draftOf(document, { asked, gathered: { ...gathered, answer }, judged });
  if (decision.kind === 'accept') {
    const draft: AcceptedDraft = { ...drafted, confidence: decision.confidence };
    return { kind: 'settle', ending: { kind: 'accepted', draft } };
  }
  const said = unjudgedWords({ asked, gathered, judged });
  const draft: Draft = {
    ...drafted,
    ...(said === null ? {} : { said }),
    ...(asked.refusal === null ? {} : { refusal: asked.refusal }),
    confidence: decision.confidence,
    reason: decision.reason,
    evidence,
    ...(sureValues === null ? {} : { sureValues }),
    handedOffAtMs: null,
  };
  return { kind: 'escalate', job: withDraft(job, draft) };
}

/** A draft that was given up: the decision was made while it came. */
async function stoppedOutcome(
  { job, rules }: CascadeDocument,
  { asked, stopped, rule }: Pick<Judging, 'asked' | 'rule'> & { stopped: StoppedCall },
): Promise<StageOutcome> {
  const { model, ask } = stageOf(rules, job.stage);
  const { reason, scoreAtMost, isEstimated } = stopped;
  const said = scoreAtMost === null ? firstWords(asked.completion.refusal ?? asked.completion.text) : null;
  const draft: Draft = {
    model,
    ask,
    answer: asked.answer,
    score: null,
    confidence: null,
    fields: leastSure(await runSliced(scoreBegun(asked.completion, rule.confidence))),
    evidence: null,
    reason,
    stopped: { scoreAtMost, isEstimated, acceptAt: rule.acceptAt },
    how: asked.how,
    ...(said === null ? {} : { said }),
    attempts: attemptsWith(job, asked, null),
    handedOffAtMs: null,
  };
  return { kind: 'escalate', job: withDraft(job, draft) };
}

type Judged = { readonly asked: Judging['asked']; readonly gathered: Gathered; readonly judged: JudgedAnswer };

/** What the server said of a draft that could not be judged: its refusal, or the answer that is none. Null: it could. */
function unjudgedWords({ asked, gathered, judged: { decision } }: Judged): string | null {
  if (decision.kind === 'accept' || decision.confidence !== null) return null;
  const { completion, assessment = null } = gathered.evidence;
  if (decision.reason === 'no_assessment' || decision.reason === 'no_samples') {
    const failed = gathered.extra.find(({ error }) => error !== null)?.error ?? null;
    return firstWords(assessment?.text ?? failed?.said ?? failed?.message);
  }
  return asked.refusal ?? firstWords(completion.refusal ?? completion.text);
}

/** A draft as it is written down, accepted or not. Its times run to the end of the last call for it. */
function draftOf({ job, rules }: CascadeDocument, { asked, gathered, judged }: Judged) {
  const { decision, values, areSure } = judged;
  const { model, ask } = stageOf(rules, job.stage);
  const { answer } = gathered;
  const extra = [...(asked.extra ?? []), ...gathered.extra];
  const endedAtMs = Math.max(asked.endedAtMs, ...extra.map((call) => call.endedAtMs));
  return {
    model,
    ask,
    answer,
    score: decision.score,
    fields: leastSure(decision.fields, {
      sorted: values === null ? undefined : byDoubt(values.fields),
      shadow: rules.shadow,
    }),
    ...(areSure === null ? {} : { areValuesSure: areSure }),
    // Of a merged answer the judged values are those only that the stage was asked for.
    ...(values === null || asked.values !== undefined ? {} : { valueScores: values.fields.map(({ score }) => score) }),
    how: asked.how,
    attempts: attemptsWith(job, { startedAtMs: asked.startedAtMs, endedAtMs, extra }, null),
  };
}
