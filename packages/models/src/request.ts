import { isJsonObject, type Json, type JsonObject } from '@spillway/core';

export type AskedLogprobs = { readonly wanted: boolean; readonly top: number };

/**
 * The client's request as the model server gets it: under the model's own name, never streamed, and with log-probs
 * if the confidence needs them, unless the client's own request asks for more.
 */
export function requestBody(body: JsonObject, model: string, asked: AskedLogprobs): JsonObject {
  const { stream: _stream, stream_options: _options, ...kept } = body;
  if (!asked.wanted) return { ...kept, model };
  const top = Math.max(asked.top, topOf(body));
  return { ...kept, model, logprobs: true, ...(top > 0 ? { top_logprobs: top } : {}) };
}

/**
 * The server's answer as the client asked for it: log-probs that only Spillway wanted become null, which is what
 * OpenAI says when there are none, and alternatives that only Spillway wanted are cut.
 */
export function answerBody(answer: JsonObject, body: JsonObject, asked: AskedLogprobs): JsonObject {
  const choices = answer['choices'];
  if (!asked.wanted || !Array.isArray(choices)) return answer;
  if (wantsLogprobs(body)) {
    const top = topOf(body);
    return top >= asked.top ? answer : { ...answer, choices: choices.map((choice: Json) => cutTop(choice, top)) };
  }
  return {
    ...answer,
    choices: choices.map((choice: Json) =>
      isJsonObject(choice) && 'logprobs' in choice ? { ...choice, logprobs: null } : choice,
    ),
  };
}

/** Whether the client's own request asks for log-probs; then a server's refusal of them is the client's. */
export function wantsLogprobs(body: JsonObject): boolean {
  return body['logprobs'] === true;
}

function topOf(body: JsonObject): number {
  const top = body['top_logprobs'];
  return typeof top === 'number' ? top : 0;
}

function cutTop(choice: Json, top: number): Json {
  const logprobs = isJsonObject(choice) ? choice['logprobs'] : undefined;
  if (!isJsonObject(choice) || !isJsonObject(logprobs) || !Array.isArray(logprobs['content'])) return choice;
  const content = logprobs['content'].map((token: Json) =>
    isJsonObject(token) && Array.isArray(token['top_logprobs'])
      ? { ...token, top_logprobs: token['top_logprobs'].slice(0, top) }
      : token,
  );
  return { ...choice, logprobs: { ...logprobs, content } };
}
