import { ENDPOINTS, type EndpointUrl } from '../../endpoints/index.ts';
import { LIMITS } from '../../limits.ts';
import { jsonCharacters } from '../../text/json-characters.ts';
import type { JsonObject } from '../../text/json.ts';
import type { DocumentJob } from '../../document/job.ts';
import type { AskReason } from '../ask.ts';
import { asksToReason, givenDraft, hasFailedBefore, isUnsuited, type GivenDraft } from '../draft-use.ts';
import type { ModelFindings } from '../model-findings.ts';
import { isChecked } from './checked-schema.ts';

/** How a server scores a given answer of an endpoint. */
export type Scoring = 'prompt_logprobs' | 'echo' | 'prompt_ids';

export type VerifyPlan =
  | { readonly kind: 'verify'; readonly draft: GivenDraft; readonly scoring: Scoring }
  | { readonly kind: 'answer'; readonly reason: AskReason };

/** What a plan is made of. */
export type Verifiable = {
  readonly job: DocumentJob;
  /** The request as the model's server is to get it. */
  readonly prepared: JsonObject;
  /** A token is kept that is almost as likely as the best one; null: only the best one is. */
  readonly tolerance: number | null;
  /** Null: nothing is known of the server yet. */
  readonly findings: Pick<ModelFindings, 'scoring' | 'continuation' | 'reasons' | 'prompt_ids'> | null;
};

/** Whether the draft of a document is verified, or why the whole answer is asked for. */
export function planVerify({ job, prepared, tolerance, findings }: Verifiable): VerifyPlan {
  const answer = (reason: AskReason): VerifyPlan => ({ kind: 'answer', reason });
  const draft = givenDraft(job);
  if (draft === null) return answer('no_draft');
  if (hasFailedBefore(job)) return answer('failed_before');
  if (isUnsuited(job, prepared) || !isHeldTo(job)) return answer('request_unsuited');
  if (isUnfit(job, draft)) return answer('draft_unfit');
  if (tolerance === null && prepared['temperature'] !== 0) return answer('request_sampled');
  if (findings?.reasons === true || asksToReason(prepared)) return answer('model_reasons');
  const scoring = scoringOf(job.endpoint, findings);
  if (scoring === null) return answer('not_scored');
  // A prompt of completions is text: it goes on wherever it ends.
  if (scoring !== 'echo' && !continues(findings)) return answer('not_continued');
  const characters = jsonCharacters(prepared) + draft.text.length;
  return characters > LIMITS.scoredCharacters ? answer('request_too_long') : { kind: 'verify', draft, scoring };
}

/** Whether a joined answer can be held to the schema that the request has, if it has one. */
const isHeldTo = ({ endpoint, body }: DocumentJob): boolean => isChecked(ENDPOINTS[endpoint].format(body)?.schema);

/** Nothing that an answer to the request could begin with; or its beginning cannot be told from what is before it. */
function isUnfit({ endpoint, body }: DocumentJob, { text }: GivenDraft): boolean {
  const isJson = ENDPOINTS[endpoint].format(body) !== null;
  if (isJson && !/^\s*[[{]/.test(text)) return true;
  return endpoint !== '/v1/completions' && text !== text.trimStart();
}

/**
 * Chat is scored by `prompt_logprobs`, or by an echo of the tokens that the server itself makes of the messages: nobody else
 * knows how an echo's prompt would have to look there.
 */
function scoringOf(endpoint: EndpointUrl, findings: Verifiable['findings']): Scoring | null {
  const found = findings?.scoring ?? null;
  if (found === 'prompt_logprobs') return found;
  if (found !== 'echo' || endpoint === '/v1/completions') return found === 'echo' ? found : null;
  return findings?.prompt_ids === true ? 'prompt_ids' : null;
}

const continues = (findings: Verifiable['findings']): boolean =>
  findings?.continuation === 'new_text' || findings?.continuation === 'whole_text';
