import { seededRandom } from '@spillway/core';
import { Engine, type EngineSpec, type Work } from './engine.ts';

/** A document of which everything is known beforehand. */
export type Known = {
  readonly draft: Omit<Work, 'id'>;
  /** What the expert does if the draft is escalated. */
  readonly expert: Omit<Work, 'id'> | null;
};

export type Cascade = { readonly drafter: EngineSpec; readonly expert: EngineSpec };

/**
 * How long a cascade takes on two servers if nothing stood between them: all documents wait in the drafter's queue from
 * the start, in an order, and an unsure draft is in the expert's queue the moment that it ends.
 */
export function makespanMs(
  { drafter, expert }: Cascade,
  documents: readonly Known[],
  order: readonly number[],
): number {
  const [first, second] = [new Engine(drafter), new Engine(expert)];
  first.submit(
    order.flatMap((id) => (documents[id] === undefined ? [] : [{ id, ...documents[id].draft }])),
    0,
  );
  let endMs = 0;
  for (;;) {
    const atMs = Math.min(first.nextMs ?? Infinity, second.nextMs ?? Infinity);
    if (atMs === Infinity) return endMs;
    const escalated: Work[] = [];
    for (const { id, atMs: doneMs, isFinished } of first.advance(atMs)) {
      endMs = Math.max(endMs, doneMs);
      const work = documents[id]?.expert ?? null;
      if (isFinished && work !== null) escalated.push({ id, ...work });
    }
    for (const { atMs: doneMs } of second.advance(atMs)) endMs = Math.max(endMs, doneMs);
    if (escalated.length > 0) second.submit(escalated, atMs);
  }
}

/** What no schedule is faster than, by what one server's work takes if its batch is always full. */
function loadMs(spec: EngineSpec, works: readonly Omit<Work, 'id'>[]): number {
  const sum = (of: (work: Omit<Work, 'id'>) => number): number => works.reduce((total, work) => total + of(work), 0);
  // The first token of an answer comes with the end of its prompt, in a step that is counted with the steps.
  const decoded = sum(({ outputTokens }) => outputTokens - 1);
  const steps = Math.max(Math.ceil(sum(({ outputTokens }) => outputTokens) / spec.maxBatch), 0);
  // Of a shared prefix one request at least reads the whole.
  const read = spec.cacheBlocks === 0 ? sum(({ promptTokens }) => promptTokens) : works.length;
  return steps * spec.stepMs + decoded * spec.decodeMs + read * spec.prefillMs;
}

export function floorMs({ drafter, expert }: Cascade, documents: readonly Known[]): number {
  const escalated = documents.flatMap(({ expert: work }) => (work === null ? [] : [work]));
  const drafts = documents.map(({ draft }) => draft);
  return Math.max(loadMs(drafter, drafts), loadMs(expert, escalated));
}

type Rank = (document: Known) => number;

const draftTokens: Rank = ({ draft }) => draft.outputTokens;
const expertTokens: Rank = ({ expert }) => expert?.outputTokens ?? 0;

/** Orders that come to mind if all is known: who goes on to the expert first, and of those who takes longest. */
const RANKS: readonly Rank[] = [
  (document) => (document.expert === null ? 0 : 1e6) + expertTokens(document) * 1e3 + draftTokens(document),
  (document) => (document.expert === null ? 0 : 1e6) - draftTokens(document) * 1e3 + expertTokens(document),
  (document) => draftTokens(document) + expertTokens(document),
  draftTokens,
];

/** Orders that are drawn besides. */
const DRAWN = 4;

/**
 * The shortest makespan that is found with everything known. An optimum is out of reach, so the least of some good orders
 * stands for it; the order in which the documents came is among them, so nobody who keeps it is ahead of the bound.
 */
export function boundMs(cascade: Cascade, documents: readonly Known[], seed: number): number {
  const given = documents.map((_, at) => at);
  const random = seededRandom(seed);
  const drawn = Array.from({ length: DRAWN }, () => {
    const places = documents.map((document) => (document.expert === null ? random() + 0.5 : random()));
    return given.toSorted((left, right) => (places[left] ?? 0) - (places[right] ?? 0));
  });
  const ranked = RANKS.map((rank) => {
    const ranks = documents.map(rank);
    return given.toSorted((left, right) => (ranks[right] ?? 0) - (ranks[left] ?? 0));
  });
  return Math.min(...[given, ...ranked, ...drawn].map((order) => makespanMs(cascade, documents, order)));
}
