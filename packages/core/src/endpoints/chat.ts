import { readChoice } from '../completion.ts';
import { isJsonObject, type Json, type JsonObject } from '../json.ts';
import { required, streamed, type AskedFormat, type AskedLogprobs, type Endpoint } from './endpoint.ts';

/** `/v1/chat/completions`. */
export const chat: Endpoint = {
  name: 'Chat Completions',
  operation: 'chat',
  path: '/chat/completions',
  problem: (body) => {
    const messages = body['messages'];
    if (!Array.isArray(messages) || messages.length === 0) return required('messages');
    return body['stream'] === true ? streamed('Chat Completions') : null;
  },
  request: (body, model, asked) => {
    const { stream: _stream, stream_options: _options, ...kept } = body;
    if (!asked.wanted) return { ...kept, model };
    const top = Math.max(asked.top, topOf(body));
    return { ...kept, model, logprobs: true, ...(top > 0 ? { top_logprobs: top } : {}) };
  },
  answer: (answer, body, asked) => {
    const choices = answer['choices'];
    if (!asked.wanted || !Array.isArray(choices)) return answer;
    return { ...answer, choices: choices.map((choice: Json) => asAsked(choice, body, asked)) };
  },
  wantsLogprobs,
  read: (answer) => readChoice(answer),
  format: (body) => responseFormat(body),
};

/** `response_format`, which servers also take for the older completions. */
export function responseFormat(body: JsonObject): AskedFormat | null {
  const format = body['response_format'];
  if (!isJsonObject(format)) return null;
  const { type, json_schema: asked } = format;
  if (type !== 'json_object' && type !== 'json_schema') return null;
  return { type, schema: type === 'json_schema' && isJsonObject(asked) ? asked['schema'] : undefined };
}

function wantsLogprobs(body: JsonObject): boolean {
  return body['logprobs'] === true;
}

function topOf(body: JsonObject): number {
  const top = body['top_logprobs'];
  return typeof top === 'number' ? top : 0;
}

/** OpenAI says null where no log-probs were asked for. */
function asAsked(choice: Json, body: JsonObject, asked: AskedLogprobs): Json {
  if (!isJsonObject(choice) || !('logprobs' in choice)) return choice;
  if (!wantsLogprobs(body)) return { ...choice, logprobs: null };
  const { logprobs } = choice;
  const top = topOf(body);
  if (top >= asked.top || !isJsonObject(logprobs) || !Array.isArray(logprobs['content'])) return choice;
  return {
    ...choice,
    logprobs: { ...logprobs, content: logprobs['content'].map((token: Json) => cutTop(token, top)) },
  };
}

/** A token of the log-probs with no more alternatives than this. */
export function cutTop(token: Json, top: number): Json {
  if (!isJsonObject(token) || !Array.isArray(token['top_logprobs'])) return token;
  return { ...token, top_logprobs: token['top_logprobs'].slice(0, top) };
}
