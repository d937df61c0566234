import type { Completion } from '../completion.ts';
import type { EndpointUrl } from '../endpoints/index.ts';
import type { Json, JsonObject } from '../json.ts';

const QUESTION =
  'Is the answer above right and complete? Reply with one letter and nothing else: Y if it is, N if it is not.';

/** How many alternatives are asked for: enough for all ways to write the two letters. */
export const ASSESSMENT_TOP = 10;

/**
 * The request that asks a drafter whether its own answer is right, in one token; null for a request that has no place
 * for a further turn.
 */
export function assessmentRequest(endpoint: EndpointUrl, body: JsonObject, answer: string): JsonObject | null {
  const turns = [
    { role: 'assistant', content: answer },
    { role: 'user', content: QUESTION },
  ];
  switch (endpoint) {
    case '/v1/chat/completions': {
      const { messages } = body;
      if (!Array.isArray(messages)) return null;
      return { ...modelOf(body), messages: [...(messages as Json[]), ...turns], max_tokens: 1, temperature: 0 };
    }
    case '/v1/completions': {
      const { prompt } = body;
      if (typeof prompt !== 'string') return null;
      return { ...modelOf(body), prompt: `${prompt}${answer}\n\n${QUESTION}\n`, max_tokens: 1, temperature: 0 };
    }
    case '/v1/responses': {
      const { input, instructions } = body;
      const given: readonly Json[] = Array.isArray(input)
        ? (input as Json[])
        : [{ role: 'user', content: input ?? '' }];
      const kept = instructions === undefined ? {} : { instructions };
      // Its servers take no fewer.
      return { ...modelOf(body), ...kept, input: [...given, ...turns], max_output_tokens: 16, temperature: 0 };
    }
  }
}

const modelOf = (body: JsonObject): JsonObject => (body['model'] === undefined ? {} : { model: body['model'] });

const YES = new Set(['y', 'yes', 'true', 'correct', 'right']);
const NO = new Set(['n', 'no', 'false', 'incorrect', 'wrong']);

const wordOf = (token: string): string => token.toLowerCase().replaceAll(/[^a-z]/g, '');

/**
 * P(True): p(Y) among p(Y) and p(N), each summed over the ways to write it; p(Y) or 1 − p(N) where only one is told.
 * Null when the first token says neither.
 */
export function assessedProbability(said: Completion): number | null {
  const first = said.tokens?.find(({ token }) => wordOf(token) !== '');
  if (first === undefined) return null;
  const known = new Map(first.top.map((one) => [one.token, one.logprob]));
  if (!known.has(first.token)) known.set(first.token, first.logprob);
  const total = (words: ReadonlySet<string>): number =>
    [...known].reduce((sum, [token, logprob]) => (words.has(wordOf(token)) ? sum + Math.exp(logprob) : sum), 0);
  const [yes, no] = [total(YES), total(NO)];
  if (yes > 0 && no > 0) return yes / (yes + no);
  if (yes > 0) return Math.min(1, yes);
  return no > 0 ? Math.max(0, 1 - no) : null;
}
