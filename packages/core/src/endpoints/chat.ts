import { chatStream } from './chat-stream.ts';
import { choiceFacts, choiceText, choiceWithoutThought, readChoice, thoughtOptions } from './completion.ts';
import { chatChoice, wantsChatLogprobs } from './chat-choice.ts';
import { isJsonObject, type Json, type JsonObject } from '../text/json.ts';
import {
  exchangeOf,
  messagesOf,
  messagesWith,
  modelOf,
  required,
  streamProblem,
  withOwnSchema,
  type AskedFormat,
  type Endpoint,
} from './endpoint.ts';
import { topOf } from './logprobs.ts';

/** `/v1/chat/completions`. */
export const chat: Endpoint = {
  name: 'Chat Completions',
  operation: 'chat',
  path: '/chat/completions',
  inputField: 'messages',
  takesSeed: true,
  problem: (body, options) => {
    const messages = body['messages'];
    if (!Array.isArray(messages) || messages.length === 0) return required('messages');
    return streamProblem('Chat Completions', body, options);
  },
  saying: (words) => ({ messages: messagesOf(words) }),
  limit: (tokens) => ({ max_tokens: tokens }),
  withSystem: (body, text) => {
    const messages = body['messages'];
    if (!Array.isArray(messages)) return body;
    return { ...body, messages: [{ role: 'system', content: text }, ...(messages as Json[])] };
  },
  followUp: (body, answer, question, maxTokens) => {
    const messages = body['messages'];
    if (!Array.isArray(messages)) return null;
    const asked = [...(messages as Json[]), ...exchangeOf(answer, question)];
    return { ...modelOf(body), messages: asked, ...chat.limit(maxTokens), temperature: 0 };
  },
  request: (body, model, asked) => {
    const { stream: _stream, stream_options: _options, ...kept } = body;
    if (!asked.wanted) return { ...kept, model };
    const top = Math.max(asked.top, topOf(body));
    return { ...kept, model, logprobs: true, ...(top > 0 ? { top_logprobs: top } : {}) };
  },
  *answer(answer, body, asked) {
    const choices = answer['choices'];
    if (!Array.isArray(choices)) return answer;
    const options = thoughtOptions(answer, body);
    const isCut = topOf(body) < asked.top;
    const shown: Json[] = [];
    for (const choice of choices as readonly Json[]) {
      const left = yield* choiceWithoutThought(choice, options);
      shown.push(asked.wanted ? chatChoice(left, body, isCut) : left);
    }
    return { ...answer, choices: shown };
  },
  wantsLogprobs: wantsChatLogprobs,
  facts: choiceFacts,
  read: (answer, body) => readChoice(answer, body),
  text: (answer) => choiceText(answer, ''),
  format: (body) => responseFormat(body),
  withInstruction: (body, words) => {
    const messages = body['messages'];
    const longer = Array.isArray(messages) ? messagesWith(messages as readonly Json[], words, 'text') : null;
    return longer === null ? null : { ...body, messages: longer };
  },
  withSchema: withResponseSchema,
  stream: chatStream,
};

/** `response_format`, which servers also take for the older completions. */
export function responseFormat(body: JsonObject): AskedFormat | null {
  const format = body['response_format'];
  if (!isJsonObject(format)) return null;
  const { type, json_schema: asked } = format;
  if (type !== 'json_object' && type !== 'json_schema') return null;
  return { type, schema: type === 'json_schema' && isJsonObject(asked) ? asked['schema'] : undefined };
}

/** The same with another schema. */
export function withResponseSchema(body: JsonObject, schema: JsonObject, suffix: string): JsonObject {
  const format = body['response_format'];
  const asked = isJsonObject(format) ? format['json_schema'] : undefined;
  if (!isJsonObject(format) || !isJsonObject(asked)) return body;
  return { ...body, response_format: { ...format, json_schema: withOwnSchema(asked, schema, suffix) } };
}
