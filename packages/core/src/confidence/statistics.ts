import type { TokenLogprob } from '../endpoints/completion.ts';

/** The probability left to whatever the server did not list; a certain token has none, and log 0 is no number. */
const LEAST = 1e-9;

export const sum = (values: readonly number[]): number => values.reduce((all, value) => all + value, 0);
/** The least of at least one value; an argument each would be too many for a call. */
export const least = (values: readonly number[]): number => values.reduce((low, one) => Math.min(low, one));
export const mean = (values: readonly number[]): number => sum(values) / values.length;

/** The value below which a share lies, interpolated between neighbours (Hyndman and Fan, type 7). At least one value. */
export function quantile(values: readonly number[], share: number): number {
  const ordered = values.toSorted((left, right) => left - right);
  const at = share * (ordered.length - 1);
  const below = ordered[Math.floor(at)] ?? Number.NaN;
  const above = ordered[Math.ceil(at)] ?? below;
  return below + (above - below) * (at - Math.floor(at));
}

export const logprobsOf = (tokens: readonly TokenLogprob[]): number[] => tokens.map(({ logprob }) => logprob);

/**
 * What is known of the probabilities at a token, greatest first: the alternatives and the chosen token, which may be
 * missing from them. Null when the server listed no alternatives.
 */
function knownOf({ token, logprob, top }: TokenLogprob): number[] | null {
  if (top.length === 0) return null;
  const known = new Map<string, number>();
  for (const one of top) known.set(one.token, one.logprob);
  if (!known.has(token)) known.set(token, logprob);
  const probabilities: number[] = [];
  let listed = 0;
  for (const value of known.values()) {
    const probability = Math.min(1, Math.exp(value));
    probabilities.push(probability);
    listed += probability;
  }
  // Rounded numbers may add up to a little more than 1.
  if (listed > 1) for (const [at, value] of probabilities.entries()) probabilities[at] = value / listed;
  return probabilities.sort((left, right) => right - left);
}

/**
 * How far the likeliest token is ahead of the next: log q₁ − log q₂. Where only one is listed, the next has no more than
 * what is left over. Null when a token has no alternatives.
 */
export function margins(tokens: readonly TokenLogprob[]): number[] | null {
  return each(tokens, ([first = 0, second]) => {
    const next = Math.max(LEAST, second ?? 1 - first);
    return Math.max(0, Math.log(Math.max(LEAST, first)) - Math.log(next));
  });
}

/**
 * The entropy at each token in nats, H = −Σ q log q − r log r: what is not listed counts as one more possibility, so it is
 * never more than the true one. Null when a token has no alternatives.
 */
export function entropies(tokens: readonly TokenLogprob[]): number[] | null {
  return each(tokens, (known) => {
    const rest = Math.max(0, 1 - sum(known));
    return sum([...known, rest].map((q) => (q > 0 ? -q * Math.log(q) : 0)));
  });
}

function each(tokens: readonly TokenLogprob[], measure: (known: readonly number[]) => number): number[] | null {
  const values: number[] = [];
  for (const token of tokens) {
    const known = knownOf(token);
    if (known === null) return null;
    values.push(measure(known));
  }
  return values;
}
