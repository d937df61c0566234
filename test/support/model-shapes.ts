import { isJsonObject, type Json, type JsonObject } from '@spillway/core';

/** How the model server says a chat completion at its other addresses. */
const SHAPES: Readonly<Record<string, { wants: (body: JsonObject) => boolean; of: (chat: Chat) => JsonObject }>> = {
  '/v1/chat/completions': { wants: (body) => body['logprobs'] === true, of: (chat) => chat },
  '/v1/completions': { wants: (body) => typeof body['logprobs'] === 'number', of: asCompletion },
  '/v1/responses': {
    wants: (body) => Array.isArray(body['include']) && body['include'].includes('message.output_text.logprobs'),
    of: asResponse,
  },
};

type Token = { readonly token: string; readonly logprob: Json };
type Chat = JsonObject & {
  readonly choices: readonly [
    {
      readonly message: { readonly content: string | null; readonly refusal: string | null } & JsonObject;
      readonly logprobs: { readonly content: readonly Token[] } | null;
      readonly finish_reason: string | null;
    },
  ];
  readonly usage: JsonObject;
};

export const isModelUrl = (url: string | undefined): url is string => url !== undefined && Object.hasOwn(SHAPES, url);

/** Whether a request asks for log-probs. */
export const wantsLogprobs = (url: string, body: JsonObject): boolean => SHAPES[url]?.wants(body) ?? false;

/** A chat completion in the shape of an address. */
export const shapeOf = (url: string, chat: JsonObject): JsonObject => SHAPES[url]?.of(chat as Chat) ?? chat;

function asCompletion({ choices: [choice], usage, model }: Chat): JsonObject {
  const tokens = choice.logprobs?.content ?? null;
  const logprobs = tokens && {
    tokens: tokens.map(({ token }) => token),
    token_logprobs: tokens.map(({ logprob }) => logprob),
    top_logprobs: null,
    text_offset: tokens.map(() => 0),
  };
  const text = choice.message.content ?? '';
  return {
    id: 'cmpl-1',
    object: 'text_completion',
    created: 1_700_000_000,
    model: model ?? null,
    choices: [{ index: 0, text, logprobs, finish_reason: choice.finish_reason }],
    usage,
  };
}

function asResponse({ choices: [choice], usage, model }: Chat): JsonObject {
  const { content: text, refusal, tool_calls: calls } = choice.message;
  const said =
    refusal === null
      ? { type: 'output_text', text, annotations: [], logprobs: choice.logprobs?.content ?? [] }
      : { type: 'refusal', refusal };
  const message = { type: 'message', id: 'msg_1', role: 'assistant', status: 'completed', content: [said] };
  const called = Array.isArray(calls) ? [{ type: 'function_call', call_id: 'call_1', name: 'f', arguments: '{}' }] : [];
  const reasons: Readonly<Record<string, string>> = { length: 'max_output_tokens', content_filter: 'content_filter' };
  const reason = reasons[choice.finish_reason ?? ''] ?? null;
  return {
    id: 'resp_1',
    object: 'response',
    created_at: 1_700_000_000,
    status: reason === null ? 'completed' : 'incomplete',
    incomplete_details: reason === null ? null : { reason },
    error: null,
    model: model ?? null,
    output: [...(text === null && refusal === null ? [] : [message]), ...called],
    usage: {
      input_tokens: usage['prompt_tokens'] ?? 0,
      output_tokens: usage['completion_tokens'] ?? 0,
      total_tokens: usage['total_tokens'] ?? 0,
    },
  };
}

/** The last thing that the user said, where a test writes its directives. */
export function promptOf(body: JsonObject): string {
  const said = body['prompt'] ?? body['input'] ?? body['messages'];
  const last: unknown = Array.isArray(said)
    ? said.findLast((one: unknown) => isJsonObject(one) && one['role'] === 'user')
    : said;
  const content = isJsonObject(last) ? last['content'] : (last ?? '');
  return typeof content === 'string' ? content : JSON.stringify(content);
}
