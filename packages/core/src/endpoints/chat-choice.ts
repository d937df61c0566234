import { isJsonObject, type Json, type JsonObject } from '../text/json.ts';
import { cutTop, topOf } from './logprobs.ts';

export const wantsChatLogprobs = (body: JsonObject): boolean => body['logprobs'] === true;

/**
 * A choice of an answer or of a chunk with the log-probs that the client's request asks for, and with no more
 * alternatives than that if they are cut. OpenAI says null where no log-probs were asked for.
 */
export function chatChoice(choice: Json, body: JsonObject, isCut: boolean): Json {
  if (!isJsonObject(choice) || !('logprobs' in choice)) return choice;
  if (!wantsChatLogprobs(body)) return { ...choice, logprobs: null };
  const { logprobs } = choice;
  if (!isCut || !isJsonObject(logprobs) || !Array.isArray(logprobs['content'])) return choice;
  const content = logprobs['content'].map((token: Json) => cutTop(token, topOf(body)));
  return { ...choice, logprobs: { ...logprobs, content } };
}
