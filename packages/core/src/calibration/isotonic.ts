/** A score and whether its draft is right. */
export type ScoredLabel = { readonly score: number; readonly right: boolean };

/** A run of scores that share a value: its ends, the sum of its scores, how many are right, how many there are. */
export type Block = { from: number; to: number; sum: number; right: number; count: number };

/** A curve of more points is no better, and it travels with every document. */
const MAX_POINTS = 32;

/**
 * The rising step function closest to the labels, by pooling adjacent violators (Ayer et al. 1955; Barlow et al. 1972).
 * Equal scores are one point.
 */
export function poolAdjacent(labels: readonly ScoredLabel[]): Block[] {
  const blocks: Block[] = [];
  let before: number | null = null;
  for (const { score, right } of labels.toSorted((left, other) => left.score - other.score)) {
    const last = blocks.at(-1);
    if (last !== undefined && before === score) {
      last.sum += score;
      last.right += Number(right);
      last.count += 1;
    } else blocks.push({ from: score, to: score, sum: score, right: Number(right), count: 1 });
    before = score;
  }
  const pooled: Block[] = [];
  for (const block of blocks) {
    let current = block;
    for (let last = pooled.at(-1); last !== undefined; last = pooled.at(-1)) {
      if (last.right / last.count < current.right / current.count) break;
      pooled.pop();
      current = joined(last, current);
    }
    pooled.push(current);
  }
  return pooled;
}

const joined = (left: Block, right: Block): Block => ({
  from: left.from,
  to: right.to,
  sum: left.sum + right.sum,
  right: left.right + right.right,
  count: left.count + right.count,
});

/**
 * The points of an isotonic calibration. A step function would make equals of all drafts on a step, so the curve goes
 * through the middle of each step and, between two of them, half-way up: a surer draft has the greater confidence, and
 * each step keeps about its mean. Neighbours are merged when there are too many.
 */
export function isotonicPoints(labels: readonly ScoredLabel[]): { scores: number[]; values: number[] } {
  let blocks = poolAdjacent(labels);
  while (2 * blocks.length + 1 > MAX_POINTS) blocks = mergeClosest(blocks);
  const valueOf = ({ right, count }: Block): number => right / count;
  const points: [score: number, value: number][] = [];
  for (const [at, block] of blocks.entries()) {
    const [before, after] = [blocks[at - 1], blocks[at + 1]];
    const value = valueOf(block);
    if (before === undefined && after !== undefined)
      points.push([block.from, Math.max(0, value - (valueOf(after) - value) / 2)]);
    if (before !== undefined) points.push([(before.to + block.from) / 2, (valueOf(before) + value) / 2]);
    points.push([block.sum / block.count, value]);
    if (after === undefined && before !== undefined)
      points.push([block.to, Math.min(1, value + (value - valueOf(before)) / 2)]);
  }
  return { scores: points.map(([score]) => score), values: points.map(([, value]) => value) };
}

/** Merges the two neighbours whose merging changes the least, in squares. */
function mergeClosest(blocks: readonly Block[]): Block[] {
  let [best, least] = [0, Number.POSITIVE_INFINITY];
  for (let at = 0; at + 1 < blocks.length; at += 1) {
    const [left, right] = [blocks[at], blocks[at + 1]];
    if (left === undefined || right === undefined) continue;
    const gap = left.right / left.count - right.right / right.count;
    const cost = (gap * gap * left.count * right.count) / (left.count + right.count);
    if (cost < least) [best, least] = [at, cost];
  }
  const [left, right] = [blocks[best] as Block, blocks[best + 1] as Block];
  return [...blocks.slice(0, best), joined(left, right), ...blocks.slice(best + 2)];
}
