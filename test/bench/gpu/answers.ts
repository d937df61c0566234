import { hash } from 'node:crypto';
import { seededRandom } from '@spillway/core';

/** What a model says to a prompt. */
export type Answer = { readonly tokens: readonly string[]; readonly logprobs: readonly number[] };

/** Who answers; the same prompt is answered alike by whoever has the same of all three. */
export type Speaker = {
  readonly seed: number;
  readonly role: 'drafter' | 'expert';
  /** The share of prompts of which a drafter is unsure. */
  readonly unsureShare: number;
};

/** Tokens of an answer: a few fields of a document, as the median of a wide spread. */
const TOKENS = { median: 40, spread: 0.4, min: 8, max: 160 };

/** Summed over an answer, whatever its length: a sure one is far above any threshold that makes sense, an unsure one below. */
const SURE_LOGPROB = -0.02;
const UNSURE_LOGPROB = -3;

function randomOf(...parts: readonly (string | number)[]): () => number {
  return seededRandom(Number.parseInt(hash('sha1', parts.join('\n')).slice(0, 8), 16));
}

/** A number from a normal distribution. */
export const normal = (random: () => number): number =>
  Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

/** Whether a drafter is unsure of a prompt. */
export const isUnsure = ({ seed, unsureShare }: Omit<Speaker, 'role'>, prompt: string): boolean =>
  randomOf(seed, 'unsure', prompt)() < unsureShare;

/** How many tokens the whole answer has. */
export function answerTokens({ seed, role }: Omit<Speaker, 'unsureShare'>, prompt: string): number {
  const tokens = Math.round(TOKENS.median * Math.exp(TOKENS.spread * normal(randomOf(seed, 'length', role, prompt))));
  return Math.min(TOKENS.max, Math.max(TOKENS.min, tokens));
}

/** The whole answer; by its seed, its role and its prompt only. */
export function answerOf(speaker: Speaker, prompt: string): Answer {
  const count = answerTokens(speaker, prompt);
  const isSure = speaker.role === 'expert' || !isUnsure(speaker, prompt);
  const logprob = (isSure ? SURE_LOGPROB : UNSURE_LOGPROB) / count;
  return {
    tokens: Array.from({ length: count }, (_, at) => (at === 0 ? 'field' : ` ${at}`)),
    logprobs: Array.from({ length: count }, () => logprob),
  };
}
