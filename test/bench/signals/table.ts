import { featuresOf, seededRandom, type TokenLogprob } from '@spillway/core';
import { columnOf, numberAt, openTable, TableError } from '../answer-table.ts';
import type { BenchData, BenchRow } from './rows.ts';

export type TableOptions = {
  readonly path: string;
  readonly drafter: string;
  readonly expert: string;
  readonly seed: number;
  /** Rows that calibrations are learnt on; null: the half. */
  readonly labels: number | null;
};

/** No probability is 0 in a logarithm. */
const LEAST = 1e-12;

/**
 * Reads a table with, per model M, the answered option `M.ans`, the two greatest option probabilities `M.p1`, `M.p2` and
 * the entropy over the options `M.H` in nats. Right is what agrees with the expert.
 */
export function readTable(options: TableOptions): BenchData {
  const { path, drafter, expert, seed, labels } = options;
  const table = openTable(path);
  const at = {
    answer: columnOf(table, drafter, 'ans'),
    expert: columnOf(table, expert, 'ans'),
    p1: columnOf(table, drafter, 'p1'),
    p2: columnOf(table, drafter, 'p2'),
    entropy: columnOf(table, drafter, 'H'),
  };
  const rows = table.rows.map((cells, index): BenchRow => {
    const number = (name: 'p1' | 'p2' | 'entropy'): number => {
      const value = numberAt(table, cells, index, at[name]);
      if (value >= 0) return value;
      throw new TableError(
        `${path}, line ${index + 2}: expected a number of at least 0 as ${table.names[at[name]]}, got "${value}"`,
      );
    };
    const [p1, p2, entropy] = [number('p1'), number('p2'), number('entropy')];
    if (p1 > 1.000001 || p2 > p1 + 1e-6) {
      throw new TableError(`${path}, line ${index + 2}: expected 1 ≥ p1 ≥ p2, got ${p1} and ${p2}`);
    }
    return rowOf({ p1, p2, entropy }, cells[at.answer] === cells[at.expert]);
  });
  if (rows.length < 20) throw new TableError(`${path}: expected at least 20 rows, got ${rows.length}`);
  const random = seededRandom(seed);
  const shuffled = rows.map((row) => ({ row, place: random() })).toSorted((left, right) => left.place - right.place);
  const half = Math.floor(shuffled.length / 2);
  const taken = (from: number, to: number): BenchRow[] => shuffled.slice(from, to).map(({ row }) => row);
  return {
    signals: {
      label: { name: 'label', answers: ['A', 'B'] },
      margin: { name: 'margin', over: 'min' },
      entropy: { name: 'entropy' },
      sum_logprob: { name: 'sum_logprob' },
    },
    learn: taken(0, Math.min(labels ?? half, half)),
    judge: taken(half, shuffled.length),
  };
}

/** One token, whose alternatives are the options. */
function rowOf({ p1, p2, entropy }: { p1: number; p2: number; entropy: number }, agrees: boolean): BenchRow {
  const [first, second] = [Math.log(Math.max(LEAST, p1)), Math.log(Math.max(LEAST, p2))];
  const token: TokenLogprob = {
    token: 'A',
    bytes: null,
    logprob: first,
    top: [
      { token: 'A', logprob: first },
      { token: 'B', logprob: second },
    ],
  };
  return {
    scores: { label: p1, margin: first - second, entropy: -entropy, sum_logprob: first },
    features: featuresOf([token], first, entropy),
    drafterRight: agrees,
    expertRight: true,
  };
}
