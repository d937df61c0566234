import { askCounter, errorCounter, reasonCounter, type Counts } from './counts.ts';
import { LIMITS } from '../limits.ts';

/** What a model server said first, by the counter of the reason that it explains. */
export type Said = Readonly<Record<string, string>>;

/** Why drafts of a stage went on, how often, and what the server said the first time; null: nothing is known of that. */
export type CountedReason = { readonly reason: string; readonly count: number; readonly said: string | null };

/** What lines of the error file hold, by status or code. */
export type CountedFailure = {
  readonly status: number | null;
  readonly code: string | null;
  readonly count: number;
  readonly said: string | null;
};

type Counted = { readonly name: string; readonly count: number; readonly said: string | null };

/** The counters below a name, the most frequent first. */
function countedBelow(counts: Counts, said: Said, prefix: string): Counted[] {
  return Object.entries(counts)
    .filter(([name, count]) => name.startsWith(prefix) && count > 0)
    .map(([name, count]) => ({ name: name.slice(prefix.length), count, said: said[name] ?? null }))
    .toSorted((left, right) => right.count - left.count || (left.name < right.name ? -1 : 1));
}

/** Why the drafts of a stage, from 0, went on. */
export const reasonsOf = (counts: Counts, said: Said, cascade: string, stage: number): CountedReason[] =>
  countedBelow(counts, said, reasonCounter(cascade, stage, '')).map(({ name, ...own }) => ({ reason: name, ...own }));

/** Why a stage, from 0, was asked for whole answers though its rules say otherwise. */
export const askReasonsOf = (counts: Counts, cascade: string, stage: number): Omit<CountedReason, 'said'>[] =>
  countedBelow(counts, {}, askCounter(cascade, stage, '')).map(({ name, count }) => ({ reason: name, count }));

/** What the lines of the error file hold. Names with a further slash are of the stages of a cascade named `error`. */
export const failuresOf = (counts: Counts, said: Said): CountedFailure[] =>
  countedBelow(counts, said, ERRORS)
    .filter(({ name }) => !name.includes('/'))
    .map(({ name, ...own }) =>
      /^\d+$/.test(name) ? { status: Number(name), code: null, ...own } : { status: null, code: name, ...own },
    );

const ERRORS = errorCounter('other').slice(0, -'other'.length);

/** Texts of two parts of a batch, the first part's first; no more of them than a batch may have. */
export const addSaid = (left: Said, right: Said): Said =>
  Object.fromEntries(Object.entries({ ...left, ...right, ...left }).slice(0, LIMITS.saidTexts));
