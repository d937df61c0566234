import {
  afterFailure,
  attemptsWith,
  draftToHandOff,
  evidenceOf,
  firstWords,
  judge,
  leastSure,
  route,
  stageOf,
  withDraft,
  type AcceptedDraft,
  type CascadeDocument,
  type Decision,
  type DocumentJob,
  type Draft,
  type Ending,
  type JudgeRule,
} from '@spillway/core';
import type { StopReason } from '@spillway/runtime';
import { ASK } from './ask/index.ts';
import { gatherEvidence, type Gathered } from './evidence.ts';
import type { Asked, AttemptOptions, Held, StageModel } from './stage-model.ts';

/** What is to be done with a document after an attempt of its stage. */
export type StageOutcome =
  /** The document has come to its end. */
  | { readonly kind: 'settle'; readonly ending: Ending }
  /** The draft is not final; the job has it written down, to be handed off to the next stage. */
  | { readonly kind: 'escalate'; readonly job: DocumentJob }
  /** An attempt was used; the job as changed is asked about again after a while. */
  | { readonly kind: 'retry'; readonly afterMs: number; readonly job: DocumentJob }
  /** Not the document's fault: the tier waits, slows down, or the document does. No attempt was used. */
  | ({ readonly kind: 'hold' } & Held)
  /** Given up, as the process stops or the batch ends. */
  | { readonly kind: 'stopped'; readonly reason: StopReason };

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
  const { ask, judge: rule } = stageOf(rules, job.stage);
  const asked = await ASK[ask](model, document, options);
  switch (asked.kind) {
    case 'hold':
    case 'stopped':
      return asked;
    case 'retry': {
      const changed = afterFailure(job, asked.usedAttempts, asked, asked.why);
      return { kind: 'retry', afterMs: asked.afterMs, job: changed };
    }
    case 'answered':
    case 'rejected':
    case 'exhausted':
      if (rule === null) return { kind: 'settle', ending: finalEnding(asked) };
      if (asked.kind !== 'answered') return { kind: 'escalate', job: withDraft(job, failedDraft(document, asked)) };
      return await judgeDraft(model, document, { asked, rule, options });
  }
}

type Concluded = Exclude<Asked, { kind: 'hold' | 'stopped' | 'retry' }>;

/** The last stage's answer is final, whatever it is. */
function finalEnding(asked: Concluded): Ending {
  const { startedAtMs, endedAtMs } = asked;
  const span = { startedAtMs, endedAtMs };
  if (asked.kind === 'answered') return { kind: 'answered', answer: asked.answer, ...span };
  if (asked.answer !== null) return { kind: 'answered', answer: asked.answer, why: asked.why, ...span };
  if (asked.kind === 'rejected') throw new Error('a rejection has an answer');
  return { kind: 'failed', error: asked.error, why: asked.why, ...span };
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
  const { confidence, acceptAt } = rule;
  const gathered = await gatherEvidence(model, document, { asked, confidence, options });
  if (gathered.kind !== 'gathered') return gathered;
  const { shadow } = document.rules;
  const decision = route(judge(gathered.evidence, confidence), { acceptAt, shadow });
  const drafted = draftOf(document, { asked, gathered, decision });
  if (decision.kind === 'accept') {
    const draft: AcceptedDraft = { ...drafted, confidence: decision.confidence };
    return { kind: 'settle', ending: { kind: 'accepted', draft } };
  }
  const said = unjudgedWords({ asked, gathered, decision });
  const draft: Draft = {
    ...drafted,
    ...(said === null ? {} : { said }),
    ...(asked.refusal === null ? {} : { refusal: asked.refusal }),
    confidence: decision.confidence,
    reason: decision.reason,
    evidence: shadow ? evidenceOf(gathered.evidence) : null,
    handedOffAtMs: null,
  };
  return { kind: 'escalate', job: withDraft(document.job, draft) };
}

type Judged = { readonly asked: Judging['asked']; readonly gathered: Gathered; readonly decision: Decision };

/** What the server said of a draft that could not be judged: its refusal, or the answer that is none. Null: it could. */
function unjudgedWords({ asked, gathered, decision }: Judged): string | null {
  if (decision.kind === 'accept' || decision.confidence !== null) return null;
  const { completion, assessment = null } = gathered.evidence;
  if (decision.reason === 'no_assessment' || decision.reason === 'no_samples') {
    const failed = gathered.extra.find(({ error }) => error !== null)?.error ?? null;
    return firstWords(assessment?.text ?? failed?.said ?? failed?.message);
  }
  return asked.refusal ?? firstWords(completion.refusal ?? completion.text);
}

/** A draft as it is written down, accepted or not. Its times run to the end of the last call for it. */
function draftOf({ job, rules }: CascadeDocument, { asked, gathered, decision }: Judged) {
  const { model, ask } = stageOf(rules, job.stage);
  const { answer, extra } = gathered;
  const endedAtMs = Math.max(asked.endedAtMs, ...extra.map((call) => call.endedAtMs));
  return {
    model,
    ask,
    answer,
    score: decision.score,
    fields: leastSure(decision.fields),
    attempts: attemptsWith(job, { startedAtMs: asked.startedAtMs, endedAtMs, extra }, null),
  };
}
