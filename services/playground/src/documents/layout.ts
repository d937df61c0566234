import type { NumberFormat } from './money.ts';
import { writeNumber } from './money.ts';
import type { Random } from './random.ts';
import type { Sum } from './sums.ts';
import type { Words } from './words.ts';

export type Layout = 'colon' | 'dots' | 'spaces' | 'reversed' | 'below' | 'columns' | 'pipes';

/** From the easiest to the hardest: in `columns` a label and its sum share nothing but their place in two lists. */
const LAYOUTS: readonly Layout[] = ['colon', 'spaces', 'dots', 'below', 'reversed', 'columns'];

/** Harder documents reach further down the list; the last two need a model that reads by position. */
export function drawLayout(random: Random, difficulty: number): Layout {
  const reach = difficulty < 0.3 ? 3 : difficulty < 0.6 ? 5 : 6;
  return LAYOUTS[random.between(0, reach - 1)] ?? 'colon';
}

export interface SumStyle {
  readonly layout: Layout;
  readonly format: NumberFormat;
  /** The currency as written at a sum, or nothing where the document names it elsewhere. */
  readonly symbol: string;
}

export function writeSum(cents: number, style: SumStyle): string {
  const number = writeNumber(cents, style.format);
  if (style.symbol === '') return number;
  return style.format.before ? `${style.symbol} ${number}` : `${number} ${style.symbol}`;
}

/** A label and what stands beside it. */
export interface Cell {
  readonly label: string;
  readonly amount: string;
}

/** Lays the sums out, one or more lines of text for all of them. */
export function layOutSums(random: Random, sums: readonly Sum[], words: Words, style: SumStyle): string[] {
  const cells = sums.map((sum) => ({
    label: random.pick(words.labels[sum.label]),
    amount: writeSum(sum.cents, style),
  }));
  return layOutCells(random, cells, style.layout);
}

export function layOutCells(random: Random, cells: readonly Cell[], layout: Layout): string[] {
  switch (layout) {
    case 'colon':
      return cells.map(({ label, amount }) => `${label}: ${amount}`);
    case 'dots':
      return cells.map(({ label, amount }) => `${label}${'.'.repeat(random.between(2, 5))}${amount}`);
    case 'spaces':
      return cells.map(({ label, amount }) => `${label}  ${amount}`);
    case 'reversed':
      return cells.map(({ label, amount }) => `${amount} ${label}`);
    case 'below':
      return cells.flatMap(({ label, amount }) => [label, amount]);
    case 'pipes':
      return cells.map(({ label, amount }) => `| ${amount} | ${label} |`);
    case 'columns':
      return [cells.map(({ label }) => label).join(' / '), cells.map(({ amount }) => amount).join(' / ')];
  }
}
