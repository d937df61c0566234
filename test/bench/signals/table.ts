import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { featuresOf, seededRandom, type TokenLogprob } from '@spillway/core';
import type { BenchData, BenchRow } from './rows.ts';

/** A file that cannot be judged; its message says where and what was expected. */
export class TableError extends Error {
  override readonly name = 'TableError';
}

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
  const bytes = readFileSync(path);
  const text = (path.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8');
  const [head = '', ...lines] = text.split(/\r?\n/).filter((line) => line !== '');
  const names = head.split(',');
  const column = (name: string): number => {
    const at = names.indexOf(name);
    if (at !== -1) return at;
    const models = names.flatMap((one) => (one.endsWith('.ans') ? [one.slice(0, -4)] : []));
    throw new TableError(`${path}: no column ${name}; its models are ${models.join(', ')}`);
  };
  const at = {
    answer: column(`${drafter}.ans`),
    expert: column(`${expert}.ans`),
    p1: column(`${drafter}.p1`),
    p2: column(`${drafter}.p2`),
    entropy: column(`${drafter}.H`),
  };
  const rows = lines.map((line, index): BenchRow => {
    const cells = line.split(',');
    const number = (name: 'p1' | 'p2' | 'entropy'): number => {
      const value = Number(cells[at[name]]);
      if (cells[at[name]] === '' || !Number.isFinite(value) || value < 0) {
        throw new TableError(
          `${path}, line ${index + 2}: expected a number of at least 0 as ${names[at[name]]}, got "${cells[at[name]]}"`,
        );
      }
      return value;
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
