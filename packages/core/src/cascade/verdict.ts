import { ASSESSMENT_TOP, assessedProbability, assessmentRequest } from '../confidence/assessment.ts';
import type { EscalationReason } from '../confidence/index.ts';
import { calibrated } from '../calibration/method.ts';
import type { DocumentJob } from '../document/job.ts';
import { ENDPOINTS, type Completion, type Usage } from '../endpoints/index.ts';
import { jsonCharacters } from '../text/json-characters.ts';
import type { JsonObject } from '../text/json.ts';
import type { AskReason, Instead, Verdict } from './ask.ts';
import type { ModelFindings } from './model-findings.ts';
import { route } from './route.ts';
import type { JudgeRule } from './rules.ts';
import { asksToReason, givenText, hasFailedBefore } from './draft-use.ts';
import type { OwnRequest } from './verify/requests.ts';

/** Alternatives to the one token of a verdict. */
export const VERDICT_TOP = ASSESSMENT_TOP;

export type VerdictPlan =
  | {
      readonly kind: 'verdict';
      /** Of the draft, from 0. */
      readonly stage: number;
      readonly request: OwnRequest;
    }
  | { readonly kind: 'answer'; readonly reason: AskReason };

/** Fields that a question of one token sets for its own purpose. */
const OWN = ['max_tokens', 'max_completion_tokens', 'max_output_tokens', 'temperature'];

/** Drafts that came whole, as text, and as the request wants them: what is in doubt is only whether they are right. */
const FIT: ReadonlySet<EscalationReason> = new Set([
  'low_confidence',
  'no_logprobs',
  'partial_logprobs',
  'zero_logprobs',
  'no_alternatives',
  'no_assessment',
  'no_samples',
  'shadow_run',
  'sampled',
]);

/** Whether a stage's model is asked for a verdict on the latest draft that is text, or why for the whole answer. */
export function planVerdict({
  job,
  prepared,
  findings,
}: {
  readonly job: DocumentJob;
  /** The request as the model's server is to get it. */
  readonly prepared: JsonObject;
  /** Null: nothing is known of the server yet. */
  readonly findings: Pick<ModelFindings, 'log_probs' | 'reasons'> | null;
}): VerdictPlan {
  const answer = (reason: AskReason): VerdictPlan => ({ kind: 'answer', reason });
  const { endpoint, body, drafts } = job;
  const texts = drafts.slice(0, job.stage).map((draft) => givenText(draft, endpoint, body)?.text ?? null);
  const stage = texts.findLastIndex((one) => one !== null);
  const [draft, text = null] = [drafts[stage], texts[stage]];
  if (draft === undefined || text === null) return answer('no_draft');
  if (hasFailedBefore(job)) return answer('failed_before');
  if (draft.stopped !== undefined || !FIT.has(draft.reason)) return answer('draft_unfit');
  if (findings?.reasons === true || asksToReason(prepared)) return answer('model_reasons');
  if (findings?.log_probs === false) return answer('no_log_probs');
  const asked = assessmentRequest(endpoint, body, text);
  return asked === null ? answer('request_unsuited') : { kind: 'verdict', stage, request: { body: asked, own: OWN } };
}

/** What a model's one token says of the draft of a stage, from 0; null: neither yes nor no. */
export function readVerdict(said: Completion, { confidence: rule }: JudgeRule, stage: number): Verdict | null {
  const score = assessedProbability(said);
  const confidence = score === null ? null : calibrated(rule, score);
  return score === null || confidence === null ? null : { stage, score, confidence };
}

/** Whether a draft is final by a verdict on it. */
export const isConfirmed = (
  { score, confidence }: Verdict,
  { acceptAt }: JudgeRule,
  { shadow }: { readonly shadow: boolean },
): boolean => route({ kind: 'scored', score, confidence, fields: null }, { acceptAt, shadow }).kind === 'accept';

/**
 * What the whole answer would have taken that a verdict spared: of what the call read the share that the request itself
 * has of its characters, and as many tokens as the draft has, without its thoughts.
 */
export function insteadOfAnswer(
  { endpoint, body, drafts }: DocumentJob,
  { stage }: Verdict,
  { request, usage }: { readonly request: OwnRequest; readonly usage: Usage },
): Omit<Instead, 'ms'> {
  const { inputField, facts } = ENDPOINTS[endpoint];
  const charactersOf = (asked: JsonObject): number => jsonCharacters(asked[inputField] ?? '');
  const share = Math.min(1, charactersOf(body) / charactersOf(request.body));
  const { answer = null } = drafts[stage] ?? {};
  const written = facts(answer?.body, body)?.usage ?? answer?.usage ?? { outputTokens: 0, reasoningTokens: 0 };
  return {
    inputTokens: Math.round(usage.inputTokens * share),
    outputTokens: Math.max(0, written.outputTokens - written.reasoningTokens),
  };
}
