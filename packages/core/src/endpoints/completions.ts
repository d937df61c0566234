import { responseFormat, withResponseSchema } from './chat.ts';
import { completionChoice, likelyOf, wantsCompletionLogprobs } from './completions-choice.ts';
import { completionsStream } from './completions-stream.ts';
import { choiceFacts, choiceText, choiceWithoutThought, readChoice, thoughtOptions } from './completion.ts';
import type { Json, JsonObject } from '../text/json.ts';
import { modelOf, required, streamProblem, type AskedLogprobs, type Endpoint } from './endpoint.ts';

/** `/v1/completions`, the older shape, where `logprobs` is the number of alternatives. */
export const completions: Endpoint = {
  name: 'Completions',
  operation: 'text_completion',
  path: '/completions',
  inputField: 'prompt',
  takesSeed: true,
  problem: (body, options) => {
    const prompt = body['prompt'];
    if (typeof prompt !== 'string' && !(Array.isArray(prompt) && prompt.length > 0)) return required('prompt');
    return streamProblem('Completions', body, options);
  },
  saying: (words) => ({ prompt: words }),
  limit: (tokens) => ({ max_tokens: tokens }),
  withSystem: (body, text) => {
    const prompt = body['prompt'];
    if (typeof prompt === 'string') return { ...body, prompt: `${text}\n\n${prompt}` };
    // A prompt may also be given as its tokens, which only the model's own tokeniser can add to.
    if (!isTexts(prompt)) return body;
    return { ...body, prompt: prompt.map((one) => `${text}\n\n${one}`) };
  },
  followUp: (body, answer, question, maxTokens) => {
    const prompt = body['prompt'];
    if (typeof prompt !== 'string') return null;
    const asked = `${prompt}${answer}\n\n${question}\n`;
    return { ...modelOf(body), prompt: asked, ...completions.limit(maxTokens), temperature: 0 };
  },
  request: (body, model, asked) => {
    const { stream: _stream, stream_options: _options, ...kept } = body;
    return asked.wanted ? { ...kept, model, logprobs: askedOf(body, asked) } : { ...kept, model };
  },
  *answer(answer, body, asked) {
    const choices = answer['choices'];
    if (!Array.isArray(choices)) return answer;
    const options = { ...thoughtOptions(answer, body), echoed: echoOf(body) };
    const isCut = likelyOf(body) < askedOf(body, asked);
    const shown: Json[] = [];
    for (const choice of choices as readonly Json[]) {
      const left = yield* choiceWithoutThought(choice, options);
      shown.push(asked.wanted ? completionChoice(left, body, isCut) : left);
    }
    return { ...answer, choices: shown };
  },
  wantsLogprobs: wantsCompletionLogprobs,
  facts: choiceFacts,
  read: (answer, body) => readChoice(answer, body, echoOf(body)),
  text: (answer, body) => choiceText(answer, echoOf(body)),
  format: (body) => responseFormat(body),
  withInstruction: (body, words) => {
    const { prompt, suffix = null } = body;
    // With a suffix the model fills in what is between the two.
    return typeof prompt === 'string' && suffix === null ? { ...body, prompt: `${prompt}\n\n${words}\n` } : null;
  },
  withSchema: withResponseSchema,
  stream: completionsStream,
};

const isTexts = (prompt: Json | undefined): prompt is readonly string[] =>
  Array.isArray(prompt) && prompt.length > 0 && prompt.every((one: Json) => typeof one === 'string');

/** At least one: several servers take 0 for none. */
const askedOf = (body: JsonObject, asked: AskedLogprobs): number => Math.max(1, asked.top, likelyOf(body));

/** What an answer repeats of its prompt before it begins. */
const echoOf = ({ echo, prompt }: JsonObject): string => (echo === true && typeof prompt === 'string' ? prompt : '');
