import { isJsonObject, type Json, type JsonObject } from '../text/json.ts';
import { cutTop, topOf } from './logprobs.ts';

/** What `include` names to get log-probs. */
export const LOGPROBS = 'message.output_text.logprobs';

export const includeOf = (body: JsonObject): readonly Json[] =>
  Array.isArray(body['include']) ? (body['include'] as Json[]) : [];

export const wantsResponseLogprobs = (body: JsonObject): boolean => includeOf(body).includes(LOGPROBS);

/** An item of a response's output with the log-probs that the client's request asks for. */
export function responseItem(item: Json, body: JsonObject, isCut: boolean): Json {
  if (!isJsonObject(item) || !Array.isArray(item['content'])) return item;
  return { ...item, content: item['content'].map((part: Json) => responsePart(part, body, isCut)) };
}

/**
 * A part of an item, or an event about one, with the log-probs that the client's request asks for, and with no more
 * alternatives than that if they are cut. OpenAI gives an empty list where no log-probs were asked for.
 */
export function responsePart(part: Json, body: JsonObject, isCut: boolean): Json {
  if (!isJsonObject(part) || !('logprobs' in part)) return part;
  if (!wantsResponseLogprobs(body)) return { ...part, logprobs: [] };
  if (!isCut || !Array.isArray(part['logprobs'])) return part;
  return { ...part, logprobs: part['logprobs'].map((token: Json) => cutTop(token, topOf(body))) };
}
