import type { EscalationReason } from '../confidence/index.ts';
import type { DocumentJob, Draft } from '../document/job.ts';
import { ENDPOINTS, type EndpointUrl } from '../endpoints/index.ts';
import { isJsonObject, type Json, type JsonObject } from '../text/json.ts';

/** A draft that a later stage may make use of. */
export type GivenDraft = {
  readonly text: string;
  /** It came to its own end: whether the model would end there, too, is then worth knowing. */
  readonly isWhole: boolean;
};

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

/** A draft whose values were judged one by one; the stage counts from 0. */
type ValuedDraft = { readonly stage: number; readonly text: string; readonly sureValues: string };

/** The latest draft of the stages before, where its values were judged one by one; null: the latest text's were not. */
export function valuedDraft({
  drafts,
  stage,
  endpoint,
  body,
}: Pick<DocumentJob, 'drafts' | 'stage' | 'endpoint' | 'body'>): ValuedDraft | null {
  for (const [from, { answer, sureValues }] of [...drafts.slice(0, stage).entries()].toReversed()) {
    if (answer === null) continue;
    const text = ENDPOINTS[endpoint].text(answer.body, body);
    if (text === null) continue;
    return sureValues === undefined ? null : { stage: from, text, sureValues };
  }
  return null;
}

/** A call about the document failed, was refused, or was under way when its server broke down. */
export const hasFailedBefore = ({ attempts, unproven, breaks, refused }: DocumentJob): boolean =>
  attempts.length > 0 || unproven !== undefined || breaks !== undefined || refused !== undefined;

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
