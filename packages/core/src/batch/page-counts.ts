import { addCounts, isCounter, NO_COUNTS, type Counts } from '../accounting/counts.ts';
import type { PageLine } from './page.ts';

/** What one document counts, by counter; those of a version to come are there, too. Whole numbers from 0. */
export type DocumentCounts = Readonly<Record<string, number>>;

/** A document's counts as they stand beside its result until its page is sealed. */
export const writeDocumentCounts = (counts: Partial<Counts>): string => JSON.stringify(counts);

/** Null for what are none. */
export function readDocumentCounts(text: string): DocumentCounts | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
  return Object.values(value).every(isCount) ? (value as DocumentCounts) : null;
}

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;

/** What is known of an open page. */
export type CountedPage = {
  /** The results so far, by place. */
  readonly lines: ReadonlyMap<number, PageLine>;
  /** What their documents count, by place. What an earlier version settled is absent. */
  readonly ofDocuments: ReadonlyMap<number, DocumentCounts>;
  /** What was counted while they came. */
  readonly counted: Counts;
};

/** Those counters that were counted wrong: what they had come to, and what the lines say. */
export type Miscounted = Readonly<Record<'counted' | 'lines', Readonly<Record<string, number>>>>;

/**
 * The counts of a page's results so far: those of its own lines, whatever was counted meanwhile. How many have an answer the
 * lines say themselves; all else is what their documents count, or, where an earlier version settled one of them, what was
 * counted. `miscounted` is where that differs; null: nowhere.
 */
export function countPage({ lines, ofDocuments, counted }: CountedPage): {
  counts: Counts;
  miscounted: Miscounted | null;
} {
  const completed = lines.values().reduce((sum, { part }) => (part === 'output' ? sum + 1 : sum), 0);
  const all = lines.keys().map((place) => ofDocuments.get(place));
  const counts = { ...(sumOf(all) ?? counted), completed, failed: lines.size - completed };
  const names = new Set([...Object.keys(counts), ...Object.keys(counted)]) as Set<keyof Counts>;
  const differing = [...names].filter((name) => valueIn(counts, name) !== valueIn(counted, name));
  if (differing.length === 0) return { counts, miscounted: null };
  const valuesIn = (given: Counts) => Object.fromEntries(differing.map((name) => [name, valueIn(given, name)]));
  return { counts, miscounted: { counted: valuesIn(counted), lines: valuesIn(counts) } };
}

/** Null where one of them is not known. */
function sumOf(all: Iterable<DocumentCounts | undefined>): Counts | null {
  const sums: Record<string, number> = {};
  for (const one of all) {
    if (one === undefined) return null;
    for (const [name, count] of Object.entries(one)) sums[name] = (sums[name] ?? 0) + count;
  }
  return addCounts(NO_COUNTS, Object.fromEntries(Object.entries(sums).filter(([name]) => isCounter(name))));
}

/** As sums are bounded where they are written down. */
const valueIn = (counts: Counts, name: keyof Counts): number => Math.min(Number.MAX_SAFE_INTEGER, counts[name] ?? 0);
