import type { Ranked } from './rows.ts';

/** A batch that was drawn from ranked documents, each of which it may have several times; and an order to sample it in. */
export type Batch = {
  readonly ranked: Ranked;
  readonly size: number;
  /** How often the batch has each ranked document. */
  readonly count: Uint16Array;
  /** Ranked documents in the order in which a sample of any size draws them: its first so many. */
  readonly order: Int32Array;
};

/**
 * Draws a batch of `size` documents, and `sampled` of it in a random order: without replacement where there are as many
 * documents, with replacement otherwise.
 */
export function drawBatch(
  ranked: Ranked,
  { size, sampled }: { readonly size: number; readonly sampled: number },
  random: () => number,
): Batch {
  const count = new Uint16Array(ranked.size);
  const order = new Int32Array(Math.min(sampled, size));
  const draw = (): number => Math.floor(random() * ranked.size);
  if (size > ranked.size) {
    for (let at = 0; at < size; at += 1) {
      const row = draw();
      count[row] = (count[row] ?? 0) + 1;
      if (at < order.length) order[at] = row;
    }
    return { ranked, size, count, order };
  }
  // Whichever are fewer are drawn: those that are in, or those that are not.
  const isOut = size * 2 > ranked.size;
  if (isOut) count.fill(1);
  for (let left = isOut ? ranked.size - size : size; left > 0;) {
    const row = draw();
    if (count[row] === (isOut ? 0 : 1)) continue;
    count[row] = isOut ? 0 : 1;
    left -= 1;
  }
  const isSampled = new Uint8Array(ranked.size);
  for (let at = 0; at < order.length;) {
    const row = draw();
    if (count[row] === 0 || isSampled[row] === 1) continue;
    isSampled[row] = 1;
    order[at] = row;
    at += 1;
  }
  return { ranked, size, count, order };
}

/** The sampled documents' ranks, best first. */
export const sampleOf = ({ order }: Batch, n: number): Int32Array => order.slice(0, n).sort();

/** What a decision came to: how many drafts are final, and how many of them disagree with the expert. */
export type Outcome = { readonly accepted: number; readonly wrong: number };

/** Accepts all drafts of the first `end` ranked documents but for those of a sample, which the expert answers. */
export function outcomeOf({ ranked, count }: Batch, end: number, sample: Int32Array): Outcome {
  let [accepted, wrong] = [0, 0];
  for (let at = 0; at < end; at += 1) {
    const times = count[at] ?? 0;
    accepted += times;
    wrong += times * (ranked.wrong[at] ?? 0);
  }
  for (const at of sample) {
    if (at >= end) break;
    accepted -= 1;
    wrong -= ranked.wrong[at] ?? 0;
  }
  return { accepted, wrong };
}

/** The most drafts that a threshold may accept with at most so many disagreements: for whoever knows all answers. */
export function optimumOf({ ranked, count }: Batch, mayBeWrong: number): number {
  let [accepted, wrong, best] = [0, 0, 0];
  for (let at = 0; at < ranked.judged; at += 1) {
    if (ranked.tie[at] === at) best = accepted;
    accepted += count[at] ?? 0;
    wrong += (count[at] ?? 0) * (ranked.wrong[at] ?? 0);
    if (wrong > mayBeWrong) return best;
  }
  return accepted;
}
