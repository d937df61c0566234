import { unfitReason } from '../cascade/fitness.ts';
import { isLastStage, stageOf, type CascadeRules } from '../cascade/rules.ts';
import type { EscalationReason } from '../confidence/index.ts';
import type { Usage } from '../endpoints/index.ts';
import { jobWithSpent, withDraft, type CascadeDocument, type DocumentJob, type Draft } from './job.ts';

/** What a job says of the faults that its present stage's server had with it: none. */
const NO_FAULTS = {
  refused: undefined,
  unproven: undefined,
  breaks: undefined,
  foundGone: undefined,
  mayTakeLong: undefined,
} as const;

/** What a job says of its present stage: nothing yet. */
const NO_WAIT = { delays: undefined, take: undefined, spent: undefined } as const;

/**
 * The job of the next stage that can take the document: its present stage's draft is written down. Stages whose model
 * is known not to take it are skipped, each with its reason; the last stage is asked in any case.
 */
export function nextStageJob({ job, rules }: CascadeDocument, nowMs: number): DocumentJob {
  const drafts = job.drafts.map((draft, stage) => (stage === job.stage ? { ...draft, handedOffAtMs: nowMs } : draft));
  return skipUnfit({ job: { ...laterJob(job, job.stage + 1, nowMs), drafts }, rules }, nowMs);
}

/** The job at another stage, which begins to wait there now. */
export function laterJob(job: DocumentJob, stage: number, nowMs: number): DocumentJob {
  return { ...job, stage, usedAttempts: 0, attempts: [], ...NO_FAULTS, ...NO_WAIT, waitingSinceMs: nowMs };
}

/**
 * The job of a document that has drafts already: they are handed off to the stage behind the last of them. `spent`: what
 * that one took before, by stage from 0.
 */
export function draftedJob(
  { job, rules }: CascadeDocument,
  drafts: readonly Draft[],
  { spent = [], nowMs }: { readonly spent?: readonly Usage[] | undefined; readonly nowMs: number },
): DocumentJob {
  const next = nextStageJob({ job: { ...job, drafts, stage: drafts.length - 1 }, rules }, nowMs);
  return jobWithSpent(next, spent[next.stage]);
}

/**
 * The job at the first stage from the present one on that can take the document; where no draft may be final, at the last
 * one.
 */
export function skipUnfit({ job, rules }: CascadeDocument, nowMs: number): DocumentJob {
  if (isLastStage(rules, job.stage)) return job;
  const { model, ask, limits } = stageOf(rules, job.stage);
  const reason = bypassReason(rules) ?? unfitReason(job.body, limits);
  return reason === null
    ? job
    : skipUnfit({ job: skipping({ job, rules }, { reason, ask, model, nowMs }), rules }, nowMs);
}

/**
 * The job at the last stage, without a draft of those before. `spent`: what each stage, from 0, took before: it counts
 * with what comes.
 */
export function lastStageJob(
  { job, rules }: CascadeDocument,
  how: { readonly reason: EscalationReason; readonly nowMs: number; readonly spent?: readonly Usage[] | undefined },
): DocumentJob {
  const spent = how.spent?.[job.stage];
  if (isLastStage(rules, job.stage)) return jobWithSpent(job, spent);
  const { model, ask } = stageOf(rules, job.stage);
  const { reason, nowMs } = how;
  return lastStageJob({ job: skipping({ job, rules }, { reason, ask, model, nowMs, spent }), rules }, how);
}

type Skipped = Pick<Draft, 'model' | 'ask' | 'reason' | 'spent'> & { readonly nowMs: number };

/** The job at the next stage, with the reason why the present one was not asked. */
function skipping({ job }: CascadeDocument, { nowMs, ...skipped }: Skipped): DocumentJob {
  const draft: Draft = { ...skipped, ...NO_DRAFT, attempts: [], handedOffAtMs: nowMs };
  return { ...withDraft(job, draft), stage: job.stage + 1 };
}

/** Why no drafter is asked; null: they are. */
const bypassReason = ({ expertOnly, tightened }: CascadeRules): EscalationReason | null =>
  expertOnly === true ? 'not_certified' : tightened === true ? 'promise_at_risk' : null;

const NO_DRAFT = { answer: null, score: null, confidence: null, fields: null, evidence: null } as const;

/** The job of a document that stood in its stage's queue when its cascade stopped accepting drafts: it is only to be handed off. */
export function passedBy({ job, rules }: CascadeDocument): DocumentJob {
  const { model, ask } = stageOf(rules, job.stage);
  const reason = bypassReason(rules) ?? 'promise_at_risk';
  return withDraft(job, { model, ask, ...NO_DRAFT, reason, attempts: job.attempts, handedOffAtMs: null });
}
