import { isJsonObject, type Json, type JsonObject } from '../text/json.ts';

/** How many alternatives per token a body of chat completions or of responses asks for. */
export function topOf(body: JsonObject): number {
  const top = body['top_logprobs'];
  return typeof top === 'number' ? top : 0;
}

/** A token of the log-probs with no more alternatives than this. */
export function cutTop(token: Json, top: number): Json {
  if (!isJsonObject(token) || !Array.isArray(token['top_logprobs'])) return token;
  return { ...token, top_logprobs: token['top_logprobs'].slice(0, top) };
}
