import { answerText, isJsonObject, type JsonObject, type PricedTokens } from '@spillway/core';

/** A model behind a server, as a plain program asks it. */
export type ChatModel = { readonly baseURL: string; readonly model: string };

export type Reply = {
  readonly body: JsonObject;
  readonly text: string;
  readonly isEnd: boolean;
  readonly tokens: PricedTokens;
};

/** One call; throws for whatever is no answer. */
export async function chat({ baseURL, model }: ChatModel, request: JsonObject): Promise<Reply> {
  const response = await fetch(`${baseURL}/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model, ...request }),
  });
  const body: unknown = await response.json();
  if (!response.ok || !isJsonObject(body)) throw new Error(`${response.status}: ${JSON.stringify(body)}`);
  const choices = body['choices'];
  const choice: unknown = Array.isArray(choices) ? choices[0] : undefined;
  const usage = isJsonObject(body['usage']) ? body['usage'] : {};
  const details = isJsonObject(usage['prompt_tokens_details']) ? usage['prompt_tokens_details'] : {};
  return {
    body,
    text: answerText(body) ?? '',
    isEnd: isJsonObject(choice) && choice['finish_reason'] === 'stop',
    tokens: {
      inputTokens: Number(usage['prompt_tokens'] ?? 0),
      cachedTokens: Number(details['cached_tokens'] ?? 0),
      outputTokens: Number(usage['completion_tokens'] ?? 0),
    },
  };
}
