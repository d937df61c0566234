/** A document that both tiers have answered: how sure the drafter was, and whether it says what the expert says. */
export type PairedRow = {
  /** Greater is surer; null: its draft cannot be judged, and escalates at any threshold. */
  readonly score: number | null;
  readonly agrees: boolean;
};

/** Documents in the order of their scores, best first; those without one last. */
export type Ranked = {
  readonly size: number;
  readonly scores: Float64Array;
  /** 1 where the draft disagrees. */
  readonly wrong: Uint8Array;
  /** How many can be judged: the first so many. */
  readonly judged: number;
  /** Where the tie of each judged document begins. */
  readonly tie: Int32Array;
};

export function rankedBy(rows: readonly PairedRow[]): Ranked {
  const sorted = rows.toSorted(
    (left, right) => (right.score ?? Number.NEGATIVE_INFINITY) - (left.score ?? Number.NEGATIVE_INFINITY) || 0,
  );
  const judged = sorted.filter(({ score }) => score !== null).length;
  const scores = Float64Array.from(sorted, ({ score }) => score ?? Number.NEGATIVE_INFINITY);
  const tie = new Int32Array(judged);
  for (let at = 1; at < judged; at += 1) tie[at] = scores[at] === scores[at - 1] ? (tie[at - 1] ?? 0) : at;
  return { size: rows.length, scores, wrong: Uint8Array.from(sorted, ({ agrees }) => Number(!agrees)), judged, tie };
}
