import { readChoice } from '../completion.ts';
import { isJsonObject, type Json, type JsonObject } from '../json.ts';
import { responseFormat } from './chat.ts';
import { required, streamed, type AskedLogprobs, type Endpoint } from './endpoint.ts';

/** `/v1/completions`, the older shape, where `logprobs` is the number of alternatives. */
export const completions: Endpoint = {
  name: 'Completions',
  operation: 'text_completion',
  path: '/completions',
  problem: (body) => {
    const prompt = body['prompt'];
    if (typeof prompt !== 'string' && !(Array.isArray(prompt) && prompt.length > 0)) return required('prompt');
    return body['stream'] === true ? streamed('Completions') : null;
  },
  request: (body, model, asked) => {
    const { stream: _stream, stream_options: _options, ...kept } = body;
    return asked.wanted ? { ...kept, model, logprobs: askedOf(body, asked) } : { ...kept, model };
  },
  answer: (answer, body, asked) => {
    const choices = answer['choices'];
    if (!asked.wanted || !Array.isArray(choices)) return answer;
    return { ...answer, choices: choices.map((choice: Json) => asAsked(choice, body, asked)) };
  },
  wantsLogprobs,
  read: (answer, { echo, prompt }) => readChoice(answer, echo === true && typeof prompt === 'string' ? prompt : ''),
  format: (body) => responseFormat(body),
};

function wantsLogprobs(body: JsonObject): boolean {
  return typeof body['logprobs'] === 'number';
}

/** At least one: several servers take 0 for none. */
function askedOf(body: JsonObject, asked: AskedLogprobs): number {
  const own = body['logprobs'];
  return Math.max(1, asked.top, typeof own === 'number' ? own : 0);
}

function asAsked(choice: Json, body: JsonObject, asked: AskedLogprobs): Json {
  if (!isJsonObject(choice) || !('logprobs' in choice)) return choice;
  const own = body['logprobs'];
  if (typeof own !== 'number') return { ...choice, logprobs: null };
  const { logprobs } = choice;
  if (own >= askedOf(body, asked) || !isJsonObject(logprobs) || !Array.isArray(logprobs['top_logprobs'])) return choice;
  const tops = logprobs['top_logprobs'].map((top: Json) => likeliest(top, own));
  return { ...choice, logprobs: { ...logprobs, top_logprobs: tops } };
}

/** The alternatives of one token, from token to log-prob, without the less likely ones. */
function likeliest(top: Json, count: number): Json {
  if (!isJsonObject(top)) return top;
  const sorted = Object.entries(top).toSorted(([, left], [, right]) => Number(right) - Number(left));
  return Object.fromEntries(sorted.slice(0, count));
}
