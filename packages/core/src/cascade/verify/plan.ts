import { ENDPOINTS, type EndpointUrl } from '../../endpoints/index.ts';
import { LIMITS } from '../../limits.ts';
import { jsonCharacters } from '../../text/json-characters.ts';
import { isJsonObject, type Json, type JsonObject } from '../../text/json.ts';
import type { DocumentJob, Draft } from '../../document/job.ts';
import type { EscalationReason } from '../../confidence/index.ts';
import type { AskReason } from '../ask.ts';
import type { ModelFindings } from '../model-findings.ts';
import { isChecked } from './checked-schema.ts';

/** How a server scores a given answer of an endpoint. */
export type Scoring = 'prompt_logprobs' | 'echo';

/** A draft that a model may be asked to verify. */
export type GivenDraft = {
  readonly text: string;
  /** It came to its own end: whether the model would end there, too, is then worth knowing. */
  readonly isWhole: boolean;
};

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
  readonly findings: Pick<ModelFindings, 'scoring' | 'continuation' | 'reasons'> | null;
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
  if (scoring === 'prompt_logprobs' && !continues(findings)) return answer('not_continued');
  const characters = jsonCharacters(prepared) + draft.text.length;
  return characters > LIMITS.scoredCharacters ? answer('request_too_long') : { kind: 'verify', draft, scoring };
}

/** A call about the document failed, was refused, or was under way when its server broke down. */
export const hasFailedBefore = ({ attempts, unproven, breaks, refused }: DocumentJob): boolean =>
  attempts.length > 0 || unproven !== undefined || breaks !== undefined || refused !== undefined;

/** Whether a joined answer can be held to the schema that the request has, if it has one. */
const isHeldTo = ({ endpoint, body }: DocumentJob): boolean => isChecked(ENDPOINTS[endpoint].format(body)?.schema);

/** Nothing that an answer to the request could begin with; or its beginning cannot be told from what is before it. */
function isUnfit({ endpoint, body }: DocumentJob, { text }: GivenDraft): boolean {
  const isJson = ENDPOINTS[endpoint].format(body) !== null;
  if (isJson && !/^\s*[[{]/.test(text)) return true;
  return endpoint !== '/v1/completions' && text !== text.trimStart();
}

/** Chat is scored by `prompt_logprobs` alone, as nobody knows how an echo's prompt would have to look there. */
function scoringOf(endpoint: EndpointUrl, findings: Verifiable['findings']): Scoring | null {
  const found = findings?.scoring ?? null;
  if (found === 'prompt_logprobs') return found;
  return found === 'echo' && endpoint === '/v1/completions' ? found : null;
}

const continues = (findings: Verifiable['findings']): boolean =>
  findings?.continuation === 'new_text' || findings?.continuation === 'whole_text';

/** Drafts that say nothing which an answer could begin with. */
const WITHOUT_TEXT: ReadonlySet<EscalationReason> = new Set([
  'tool_call',
  'refused',
  'content_filter',
  'unclosed_thought',
  'several_choices',
  'empty_answer',
  'draft_failed',
  'drafter_rejected',
]);

/** The latest draft of the stages before that is text; null: none is. */
export function givenDraft({ drafts, stage, endpoint, body }: DocumentJob): GivenDraft | null {
  for (const draft of drafts.slice(0, stage).toReversed()) {
    const given = givenText(draft, endpoint, body);
    if (given !== null) return given;
  }
  return null;
}

/** What a draft says as text; null: it is none. */
export function givenText(draft: Draft, endpoint: EndpointUrl, body: JsonObject): GivenDraft | null {
  const { answer, reason, stopped } = draft;
  if (answer === null || answer.status !== 200 || WITHOUT_TEXT.has(reason)) return null;
  if (stopped !== undefined && stopped.scoreAtMost === null) return null;
  const text = ENDPOINTS[endpoint].text(answer.body, body);
  if (text === null || text.trim() === '') return null;
  const { finishReason = null } = ENDPOINTS[endpoint].facts(answer.body, body) ?? {};
  return { text, isWhole: stopped === undefined && (finishReason === null || finishReason === 'stop') };
}

/** Fields by which an answer is more than its most likely text, or by which a request has begun it itself. */
const UNSUITED = [
  'tools',
  'functions',
  'audio',
  'modalities',
  'logprobs',
  'top_logprobs',
  'logit_bias',
  'presence_penalty',
  'frequency_penalty',
  'repetition_penalty',
  'min_tokens',
  'bad_words',
  'prompt_logprobs',
  'add_generation_prompt',
  'continue_final_message',
  'echo',
  'suffix',
  'best_of',
  'allowed_token_ids',
  'stop_token_ids',
  'include_stop_str_in_output',
  'ignore_eos',
  'repeat_penalty',
  'no_repeat_ngram_size',
  'dry_multiplier',
  'length_penalty',
  'use_beam_search',
  'truncate_prompt_tokens',
  'ebnf',
  'grammar',
  'guided_choice',
  'guided_grammar',
  'guided_json',
  'guided_regex',
  'json_schema',
  'regex',
  'structural_tag',
  'structured_outputs',
] as const;

/** Formats of an answer that are known; another one holds it to something that nobody here could. */
const FORMATS: ReadonlySet<Json | undefined> = new Set(['text', 'json_object', 'json_schema']);

/** Values that say no more than the field's absence. */
const isNeutral = (name: string, value: Json | undefined): boolean =>
  value === undefined ||
  value === null ||
  value === false ||
  (value === 0 && name !== 'logprobs' && name !== 'prompt_logprobs') ||
  (name === 'repeat_penalty' && value === 1) ||
  (name === 'repetition_penalty' && value === 1) ||
  (name === 'best_of' && value === 1) ||
  (name === 'add_generation_prompt' && value === true) ||
  (name === 'modalities' && Array.isArray(value) && value.length === 1 && value[0] === 'text') ||
  (Array.isArray(value) && value.length === 0) ||
  (isJsonObject(value) && Object.keys(value).length === 0);

/** Whether a request wants of its answer what one that is put together cannot have. */
export function isUnsuited({ endpoint }: Pick<DocumentJob, 'endpoint'>, body: JsonObject): boolean {
  if (endpoint === '/v1/responses') return true;
  const { n } = body;
  if (n !== undefined && n !== null && n !== 1) return true;
  if (UNSUITED.some((name) => !isNeutral(name, body[name]))) return true;
  const format = body['response_format'];
  if (isJsonObject(format) && !FORMATS.has(format['type'])) return true;
  if (endpoint === '/v1/completions') return typeof body['prompt'] !== 'string';
  const messages = body['messages'];
  const last: Json | undefined = Array.isArray(messages) ? messages.at(-1) : undefined;
  return !isJsonObject(last) || last['role'] === 'assistant';
}

/** Requests name thinking in these ways; whatever they ask for, but none, makes a model think first. */
export function asksToReason(body: JsonObject): boolean {
  const { reasoning_effort: effort, reasoning, chat_template_kwargs: template } = body;
  if (effort !== undefined && effort !== null && effort !== 'none') return true;
  if (isJsonObject(reasoning) && reasoning['enabled'] !== false && reasoning['effort'] !== 'none') return true;
  return isJsonObject(template) && (template['enable_thinking'] === true || template['thinking'] === true);
}
