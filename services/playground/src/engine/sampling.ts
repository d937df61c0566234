import type { Random } from '../documents/random.ts';

/** One of the likeliest tokens at a position. */
export interface Candidate {
  readonly token: number;
  readonly logprob: number;
}

/** log of the sum of exp over a row of logits, taken at its maximum so that nothing overflows. */
export function logSumExp(logits: Float32Array): number {
  let max = Number.NEGATIVE_INFINITY;
  for (const value of logits) if (value > max) max = value;
  let sum = 0;
  for (const value of logits) sum += Math.exp(value - max);
  return max + Math.log(sum);
}

function likeliest(logits: Float32Array): number {
  let best = 0;
  for (let token = 1; token < logits.length; token++) if ((logits[token] ?? 0) > (logits[best] ?? 0)) best = token;
  return best;
}

/** The `count` likeliest tokens, best first. The vocabulary has 512 of them: sorting all is cheaper than a heap is long. */
export function topCandidates(logits: Float32Array, count: number, normaliser: number): Candidate[] {
  if (count <= 0) return [];
  const order = Array.from(logits, (logit, token) => ({ token, logprob: logit - normaliser }));
  order.sort((one, other) => other.logprob - one.logprob || one.token - other.token);
  return order.slice(0, count);
}

/** How many tokens are likelier than this one, plus one: vLLM's `rank`. */
export function rankOf(logits: Float32Array, token: number): number {
  const own = logits[token] ?? Number.NEGATIVE_INFINITY;
  let rank = 1;
  for (const value of logits) if (value > own) rank++;
  return rank;
}

/** Draws a token at a temperature from the likeliest that together reach `topP`; temperature 0 is the likeliest. */
export function drawToken(logits: Float32Array, temperature: number, topP: number, random: Random): number {
  if (temperature <= 0) return likeliest(logits);
  const scaled = logits.map((logit) => logit / temperature);
  const candidates = topCandidates(scaled, scaled.length, logSumExp(scaled));
  let mass = 0;
  const nucleus = candidates.filter((candidate) => {
    const kept = mass < topP;
    mass += Math.exp(candidate.logprob);
    return kept;
  });
  const reach = nucleus.reduce((sum, candidate) => sum + Math.exp(candidate.logprob), 0);
  let left = random.next() * reach;
  for (const candidate of nucleus) {
    left -= Math.exp(candidate.logprob);
    if (left < 0) return candidate.token;
  }
  return nucleus[0]?.token ?? 0;
}
