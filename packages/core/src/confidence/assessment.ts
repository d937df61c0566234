import type { Completion } from '../endpoints/completion.ts';
import { ENDPOINTS, type EndpointUrl } from '../endpoints/index.ts';
import type { JsonObject } from '../text/json.ts';

const QUESTION =
  'Is the answer above right and complete? Reply with one letter and nothing else: Y if it is, N if it is not.';

/** How many alternatives are asked for: enough for all ways to write the two letters. */
export const ASSESSMENT_TOP = 10;

/**
 * The request that asks a drafter whether its own answer is right, in one token; null for a request that has no place
 * for a further question.
 */
export const assessmentRequest = (endpoint: EndpointUrl, body: JsonObject, answer: string): JsonObject | null =>
  ENDPOINTS[endpoint].followUp(body, answer, QUESTION, 1);

const YES = new Set(['y', 'yes', 'true', 'correct', 'right']);
const NO = new Set(['n', 'no', 'false', 'incorrect', 'wrong']);

const wordOf = (token: string): string => token.toLowerCase().replaceAll(/[^a-z]/g, '');

/**
 * P(True): p(Y) among p(Y) and p(N), each summed over the ways to write it; p(Y) or 1 − p(N) where only one is known.
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
