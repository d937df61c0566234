import { ENDPOINTS, type EndpointUrl } from '../../endpoints/index.ts';
import type { Json, JsonObject } from '../../text/json.ts';
import type { Scoring } from './plan.ts';

/** A request with the fields that are set for its own purpose: a model's settings rename them, and override them not. */
export type OwnRequest = { readonly body: JsonObject; readonly own: readonly string[] };

const LIMIT_NAMES = ['max_tokens', 'max_completion_tokens'] as const;

/** What a given answer is scored and gone on from with: without what would begin it anew or end it otherwise. */
const OWN = [
  ...LIMIT_NAMES,
  'add_generation_prompt',
  'continue_final_message',
  'prompt_logprobs',
  'echo',
  'logprobs',
  'return_prompt_token_ids',
];

/**
 * Asks how likely a draft is, token by token, and for the one token after it, which shows whether the model would end
 * there. Without a schema: its grammar would begin anew behind the draft, and no score is asked of it. By `prompt_ids` only
 * which tokens they are is asked for; `idsRequest` asks for the rest.
 */
export function scoringRequest(
  { endpoint, body }: { readonly endpoint: EndpointUrl; readonly body: JsonObject },
  draft: string,
  { scoring, tolerance }: { readonly scoring: Scoring; readonly tolerance: number | null },
): OwnRequest {
  const { response_format: _format, stop: _stop, ...kept } = body;
  const given = { ...withGiven(endpoint, kept, draft), ...scoresBy(scoring, tolerance) };
  return { body: { ...withLimit(given, 1) }, own: [...OWN, 'response_format', 'stop'] };
}

function scoresBy(scoring: Scoring, tolerance: number | null): JsonObject {
  switch (scoring) {
    case 'prompt_logprobs':
      // Its own alternatives are needed only where less than the best token will do.
      return { prompt_logprobs: tolerance === null ? 0 : 1 };
    case 'echo':
      return { echo: true, logprobs: 1 };
    case 'prompt_ids':
      return { return_prompt_token_ids: true };
  }
}

/** Asks for what comes after a given beginning of the answer, in so many tokens at most; null: the request has no limit. */
export function continuationRequest(
  { endpoint, body }: { readonly endpoint: EndpointUrl; readonly body: JsonObject },
  kept: string,
  maxTokens: number | null,
): OwnRequest {
  const { response_format: _format, ...others } = body;
  const given = withGiven(endpoint, others, kept);
  return { body: maxTokens === null ? given : withLimit(given, maxTokens), own: [...OWN, 'response_format'] };
}

/** A request whose answer has begun. */
function withGiven(endpoint: EndpointUrl, body: JsonObject, text: string): JsonObject {
  if (endpoint === '/v1/completions') return { ...body, prompt: `${promptOf(body)}${text}` };
  const messages = Array.isArray(body['messages']) ? (body['messages'] as readonly Json[]) : [];
  return {
    ...body,
    messages: [...messages, { role: 'assistant', content: text }],
    add_generation_prompt: false,
    continue_final_message: true,
  };
}

/** The prompt of completions; a chat has none that is text. */
export const promptOf = ({ prompt }: JsonObject): string => (typeof prompt === 'string' ? prompt : '');

/** By the name that the request itself has for it. */
function withLimit(body: JsonObject, tokens: number): JsonObject {
  const { max_tokens: _old, max_completion_tokens: newer, ...others } = body;
  return { ...others, [newer === undefined ? 'max_tokens' : 'max_completion_tokens']: tokens };
}

/** The limit of an answer's tokens that a request as its server gets it has; null: none. */
export function limitOf(prepared: JsonObject): number | null {
  const limits = LIMIT_NAMES.map((name) => prepared[name]).filter((one) => typeof one === 'number' && one > 0);
  return limits.length === 0 ? null : Math.min(...(limits as number[]));
}

/** What ends an answer wherever it comes, of a request as its server gets it. */
export function stopsOf({ stop }: JsonObject): string[] {
  const given = Array.isArray(stop) ? (stop as readonly Json[]) : [stop];
  return given.filter((one): one is string => typeof one === 'string' && one !== '');
}

/** What of a server's answer its client gets, where its text was put together. */
export function joinedBody(
  endpoint: EndpointUrl,
  answer: JsonObject,
  joined: { readonly text: string; readonly finishReason: string; readonly usage: JsonObject },
): JsonObject {
  const { prompt_logprobs: _scores, choices, usage: _usage, ...others } = answer;
  const first: Json | undefined = Array.isArray(choices) ? choices[0] : undefined;
  const choice = (typeof first === 'object' && first !== null ? first : {}) as JsonObject;
  const { prompt_logprobs: _own, prompt_token_ids: _ids, ...shown } = choice;
  const { text, finishReason, usage } = joined;
  const said =
    ENDPOINTS[endpoint].operation === 'text_completion'
      ? { text }
      : { message: { ...(shown['message'] as JsonObject | undefined), role: 'assistant', content: text } };
  const ended = { ...shown, ...said, ...('logprobs' in shown ? { logprobs: null } : {}), finish_reason: finishReason };
  return { ...others, choices: [ended], usage };
}
