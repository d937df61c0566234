/** Who goes where, by the places that jobs have now. */
export type Move = { readonly job: number; readonly to: number };

/**
 * Deals the places that a tenant's jobs have in a queue anew: those of flows with precedence get the first ones, in its
 * order, and the jobs that were there get the places that these leave. The others stay where they are, so that little is
 * moved, however many wait.
 */
export function dealt<Flow>(jobs: readonly { readonly flow: Flow }[], precedence: readonly Flow[]): Move[] {
  const ranks = new Map(precedence.map((flow, rank) => [flow, rank]));
  const rankOf = (at: number): number => {
    const flow = jobs[at]?.flow;
    return (flow === undefined ? undefined : ranks.get(flow)) ?? precedence.length;
  };
  const all = [...jobs.keys()];
  const first = all
    .filter((at) => rankOf(at) < precedence.length)
    .toSorted((left, right) => rankOf(left) - rankOf(right));
  const displaced = all.slice(0, first.length).filter((at) => rankOf(at) === precedence.length);
  const left = all.slice(first.length).filter((at) => rankOf(at) < precedence.length);
  const moves = [
    ...first.map((job, to) => ({ job, to })),
    ...displaced.map((job, index) => ({ job, to: left[index] ?? job })),
  ];
  return moves.filter(({ job, to }) => job !== to);
}

/** Where jobs stand no further from a row than this share of its length they are left alone: to move them takes longer. */
const SLACK_SHARE = 0.02;

/** A job that waits, where its first document stands in its queue. */
export type Standing = { readonly tag: number; readonly documents: number };

/**
 * The start tags at which a tenant's jobs stand one behind the other: as many tags as documents, which is what a tenant has
 * coming. `jobs` are in their order; the row begins at the first one, or at `from` if that is before it. Where a batch came
 * while others had their tags already, together they have more of a stretch than that; where one went, less, also before
 * all that is left. Null: each stands there, but for as much as one job has, or a little of the whole.
 */
export function inRow(jobs: readonly Standing[], from: number): number[] | null {
  const start = Math.min(from, jobs[0]?.tag ?? 0);
  let free = start;
  const row = jobs.map(({ documents }) => {
    const tag = free;
    free += documents;
    return tag;
  });
  const most = jobs.reduce((largest, { documents }) => Math.max(largest, documents), 0);
  const slack = Math.max(most, SLACK_SHARE * (free - start));
  return jobs.some(({ tag }, at) => Math.abs(tag - (row[at] ?? tag)) > slack) ? row : null;
}
