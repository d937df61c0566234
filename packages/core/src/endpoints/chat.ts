import { chatStream } from './chat-stream.ts';
import { choiceFacts, choiceText, choiceWithoutThought, readChoice, thoughtOptions } from './completion.ts';
import { chatChoice, wantsChatLogprobs } from './chat-choice.ts';
import { isJsonObject, type Json, type JsonObject } from '../text/json.ts';
import {
  exchangeOf,
  messagesOf,
  modelOf,
  required,
  streamProblem,
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
