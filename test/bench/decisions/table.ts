import { crossFitted, featuresOf, fitHead, headScore, type TokenLogprob } from '@spillway/core';
import { columnOf, numberAt, openTable, TableError, type AnswerTable } from '../answer-table.ts';
import type { PairedRow } from './rows.ts';

/** A pair of models of a table, and what the drafter's answers are ordered by. */
export type PairOptions = {
  readonly path: string;
  readonly drafter: string;
  readonly expert: string;
  /** A name of `SCORES`, or of any other column of the drafter, greater being surer; null: the first that there is. */
  readonly score: string | null;
};

export type Pair = {
  readonly rows: readonly PairedRow[];
  readonly score: string;
  /** How many lines have no answer of the expert, and are left out. */
  readonly leftOut: number;
};

/** A row's score from its cells; null: it has none. */
type Score = (row: readonly string[], index: number) => number | null;

/** No probability is 0 in a logarithm. */
const LEAST = 1e-12;

/** The scores that are made of the columns p1, p2 and H, and which of these they need. */
const SCORES: Readonly<Record<string, readonly string[]>> = {
  p1: ['p1'],
  margin: ['p1', 'p2'],
  entropy: ['H'],
  head: ['p1', 'p2', 'H'],
};
/** What is taken where no score was named. */
const PREFERRED = ['p1', 'sum_logprob'];

/**
 * Reads what a promise is judged on: a draft agrees where its answer is the expert's. A draft without an answer, or
 * without the number that its score is made of, cannot be judged, and escalates.
 */
export function readPair({ path, drafter, expert, score }: PairOptions): Pair {
  const table = openTable(path);
  const answer = { drafter: columnOf(table, drafter, 'ans'), expert: columnOf(table, expert, 'ans') };
  const name = score ?? PREFERRED.find((one) => scoresOf(table, drafter).includes(one)) ?? PREFERRED[0] ?? '';
  const scoreOf = name === 'head' ? null : simpleScore(table, drafter, name);
  const cell = (row: readonly string[], at: number): string => row[at]?.trim() ?? '';
  const kept = table.rows
    .map((row, index) => ({ row, index }))
    .filter(({ row }) => cell(row, answer.expert) !== '')
    .map(({ row, index }) => {
      const said = cell(row, answer.drafter);
      return { row, index, isAnswered: said !== '', agrees: said === cell(row, answer.expert) };
    });
  if (kept.length < 20) throw new TableError(`${path}: expected at least 20 rows with an answer, got ${kept.length}`);
  const rows =
    scoreOf === null
      ? headScores(table, drafter, kept)
      : kept.map(({ row, index, isAnswered, agrees }) => ({ score: isAnswered ? scoreOf(row, index) : null, agrees }));
  return { rows, score: name, leftOut: table.rows.length - kept.length };
}

/** The scores that a table has of a model. */
function scoresOf({ names }: AnswerTable, model: string): string[] {
  const own = names.flatMap((name) => (name.startsWith(`${model}.`) ? [name.slice(model.length + 1)] : []));
  const made = Object.keys(SCORES).filter((name) => SCORES[name]?.every((column) => own.includes(column)));
  return [...new Set([...made, ...own.filter((name) => !['ans', 'p1', 'p2', 'H'].includes(name))])];
}

/** A reader of one column, in which an empty cell is no number and no mistake. */
function columnReader(table: AnswerTable, model: string, column: string): Score {
  const at = columnOf(table, model, column);
  return (row, index) => ((row[at]?.trim() ?? '') === '' ? null : numberAt(table, row, index, at));
}

function simpleScore(table: AnswerTable, model: string, name: string): Score {
  const known = scoresOf(table, model);
  if (!known.includes(name)) {
    const list = known.length === 0 ? 'it has none' : `its scores are ${known.join(', ')}`;
    throw new TableError(`${table.path}: no score ${name} of ${model}; ${list}`);
  }
  if (name === 'entropy') {
    const entropy = columnReader(table, model, 'H');
    return (row, index) => negated(entropy(row, index));
  }
  if (name !== 'margin') return columnReader(table, model, name);
  const [first, second] = [columnReader(table, model, 'p1'), columnReader(table, model, 'p2')];
  return (row, index) => {
    const [p1, p2] = [first(row, index), second(row, index)];
    return p1 === null || p2 === null ? null : Math.log(Math.max(LEAST, p1)) - Math.log(Math.max(LEAST, p2));
  };
}

const negated = (value: number | null): number | null => (value === null ? null : 0 - value);

type Kept = {
  readonly row: readonly string[];
  readonly index: number;
  readonly isAnswered: boolean;
  readonly agrees: boolean;
};

/** The log-odds of a head; each row's are of a head that was learnt without it, in one of five parts. */
function headScores(table: AnswerTable, model: string, kept: readonly Kept[]): PairedRow[] {
  const [p1, p2, entropy] = ['p1', 'p2', 'H'].map((column) => columnReader(table, model, column)) as [
    Score,
    Score,
    Score,
  ];
  const seen = kept.map(({ row, index, isAnswered, agrees }, place) => {
    const [first, second, unsure] = [p1(row, index), p2(row, index), entropy(row, index)];
    const isKnown = isAnswered && first !== null && second !== null && unsure !== null;
    return { place, agrees, x: isKnown ? featuresFor(first, second, unsure) : null };
  });
  const judged = seen.flatMap(({ place, x, agrees }) => (x === null ? [] : [{ place, x, right: agrees }]));
  const fitted = crossFitted(judged, (learn) => {
    const head = fitHead(learn);
    return ({ x }) => headScore(head, x);
  });
  const scores = new Map(fitted.map(({ row, confidence }) => [row.place, confidence]));
  return seen.map(({ place, agrees }) => ({ score: scores.get(place) ?? null, agrees }));
}

/** One token, whose alternatives are the options. */
function featuresFor(p1: number, p2: number, entropy: number): number[] {
  const [first, second] = [Math.log(Math.max(LEAST, p1)), Math.log(Math.max(LEAST, p2))];
  const top = [
    { token: 'A', logprob: first },
    { token: 'B', logprob: second },
  ];
  const token: TokenLogprob = { token: 'A', bytes: null, logprob: first, top };
  return featuresOf([token], first, entropy);
}
