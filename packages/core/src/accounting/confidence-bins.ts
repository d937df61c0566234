import { confidenceCounter, type Counts } from './counts.ts';

/** From one edge to before the next: .02 wide up to .9, .005 up to .99, .0005 up to .999, and what lies above. */
const EDGES: readonly number[] = [
  ...Array.from({ length: 45 }, (_, at) => at / 50),
  ...Array.from({ length: 18 }, (_, at) => (180 + at) / 200),
  ...Array.from({ length: 18 }, (_, at) => (1_980 + at) / 2_000),
  0.999,
];

/** Drafts whose confidence lies between two numbers, the upper one left out, but for 1. */
export type ConfidenceBin = { readonly from: number; readonly to: number; readonly drafts: number };

/** The bin of a confidence, from 0. */
export function confidenceBin(confidence: number): number {
  const above = EDGES.findIndex((edge) => edge > confidence);
  return above === -1 ? EDGES.length - 1 : Math.max(0, above - 1);
}

/** How sure the drafts of a stage, from 0, were that could be judged, in rising order; without bins that have none. */
export function confidencesOf(counts: Counts, cascade: string, stage: number): ConfidenceBin[] {
  return EDGES.flatMap((from, bin) => {
    const drafts = counts[confidenceCounter(cascade, stage, bin)] ?? 0;
    return drafts === 0 ? [] : [{ from, to: EDGES[bin + 1] ?? 1, drafts }];
  });
}
