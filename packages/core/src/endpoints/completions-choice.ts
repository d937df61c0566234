import { isJsonObject, type Json, type JsonObject } from '../text/json.ts';

export const wantsCompletionLogprobs = (body: JsonObject): boolean => typeof body['logprobs'] === 'number';

/** How many alternatives per token a body asks for. */
export function likelyOf(body: JsonObject): number {
  const own = body['logprobs'];
  return typeof own === 'number' ? own : 0;
}

/**
 * A choice of an answer or of a chunk with the log-probs that the client's request asks for, and with no more
 * alternatives than that if they are cut. OpenAI says null where no log-probs were asked for.
 */
export function completionChoice(choice: Json, body: JsonObject, isCut: boolean): Json {
  if (!isJsonObject(choice) || !('logprobs' in choice)) return choice;
  if (!wantsCompletionLogprobs(body)) return { ...choice, logprobs: null };
  const { logprobs } = choice;
  if (!isCut || !isJsonObject(logprobs) || !Array.isArray(logprobs['top_logprobs'])) return choice;
  const tokens: readonly Json[] = Array.isArray(logprobs['tokens']) ? logprobs['tokens'] : [];
  const tops = logprobs['top_logprobs'].map((top: Json, at) => likeliest(top, likelyOf(body), tokens[at]));
  return { ...choice, logprobs: { ...logprobs, top_logprobs: tops } };
}

/** The alternatives of one token, from token to log-prob, without the less likely ones; the chosen one always stays. */
function likeliest(top: Json, count: number, chosen: Json | undefined): Json {
  if (!isJsonObject(top)) return top;
  const sorted = Object.entries(top).toSorted(([, left], [, right]) => Number(right) - Number(left));
  return Object.fromEntries(sorted.filter(([token], at) => at < count || token === chosen));
}
