import { COMPANIES, COMPANY_FORMS } from '../companies.ts';
import type { Cell, Layout, SumStyle } from '../layout.ts';
import { layOutCells, writeSum } from '../layout.ts';
import { drawNumberFormat, writeTruth } from '../money.ts';
import { smudge } from '../noise.ts';
import type { Currency, Place } from '../places.ts';
import { CURRENCIES, PLACES } from '../places.ts';
import type { Random } from '../random.ts';
import { createRandom } from '../random.ts';
import type { OrderTruth } from './answer.ts';
import type { Day, DayFormat } from './days.ts';
import { daysLater, drawDay, drawDayStyle, endOfMonth, writeDay, writeIsoDay } from './days.ts';
import type { OrderSums } from './sums.ts';
import { drawOrderSums } from './sums.ts';
import { ENGLISH_ORDER } from './words-en.ts';
import { FRENCH_ORDER } from './words-fr.ts';
import { GERMAN_ORDER } from './words-de.ts';
import type { OrderLabel, OrderWords } from './words.ts';

export const ORDER_SPLITS = ['train', 'calibration', 'test', 'demo'] as const;
/** What an order is for. No two splits ever draw the same one, because the split is part of its seed. */
export type OrderSplit = (typeof ORDER_SPLITS)[number];

export interface GeneratedOrder {
  readonly text: string;
  readonly truth: OrderTruth;
  /** From 0 (clean and plain) to 1: it drives noise, traps, unlabelled values and hidden currencies alike. */
  readonly difficulty: number;
}

/** Ten values must all be read: with the other documents' noise the chance to misread one would be the largest of all. */
const STRONGEST_NOISE = 0.02;

/** No two of them share a letter, so that a number whose prefix lost one to the scanner can still be read. */
const NUMBER_PREFIXES = ['PO', 'BE', 'CM', 'AU'] as const;

const HEAD_LAYOUTS: readonly Layout[] = ['colon', 'spaces', 'dots', 'below'];
const SUM_LAYOUTS: readonly Layout[] = ['colon', 'spaces', 'dots', 'below', 'reversed', 'columns'];

/** What is drawn once for a document. */
interface Draft {
  readonly random: Random;
  readonly difficulty: number;
  readonly place: Place;
  readonly words: OrderWords;
  readonly days: DayFormat;
  readonly trap: () => boolean;
}

/** A value as the truth has it, and how the document says it. */
interface Said {
  readonly value: string;
  /** Among the labelled values of the head. */
  readonly cells: readonly Cell[];
  /** Lines of their own, after the head. */
  readonly lines: readonly string[];
}

function cell({ random, words }: Draft, label: OrderLabel, amount: string): Cell {
  return { label: random.pick(words.labels[label]), amount };
}

function drawNumber(random: Random): string {
  return `${random.pick(NUMBER_PREFIXES)}-${random.between(100, 9999)}`;
}

function sayDue(draft: Draft, ordered: Day): Said {
  const { random, words, days, difficulty } = draft;
  if (!random.chance(0.15 + 0.35 * difficulty)) {
    const day = daysLater(ordered, random.between(7, 60));
    return { value: writeIsoDay(day), cells: [cell(draft, 'due', writeDay(day, days))], lines: [] };
  }
  const way = random.pick(['onReceipt', 'endOfMonth', 'twoWeeks'] as const);
  const day = { onReceipt: ordered, endOfMonth: endOfMonth(ordered), twoWeeks: daysLater(ordered, 14) }[way];
  return { value: writeIsoDay(day), cells: [], lines: [random.pick(words.due[way])] };
}

function sayExpress(draft: Draft): Said {
  const { random, words } = draft;
  const value = random.pick(['yes', 'no'] as const);
  if (random.chance(0.4)) return { value, cells: [cell(draft, 'express', words.answers[value])], lines: [] };
  if (value === 'no' && random.chance(0.4)) return { value, cells: [], lines: [] };
  return { value, cells: [], lines: [random.pick(words.express[value])] };
}

/** How many items an order has: it says so, or they must be counted. */
function sayItems(draft: Draft, style: SumStyle): Said {
  const { random, words, difficulty } = draft;
  const said = !random.chance(0.2 + 0.4 * difficulty);
  const count = random.between(1, said ? 9 : 5);
  const cells = said ? [cell(draft, 'items', String(count))] : [];
  if (said && (count > 3 || random.chance(0.6))) return { value: String(count), cells, lines: [] };
  const priced = random.chance(0.15);
  const lines = Array.from({ length: count }, () => {
    const item = `${random.between(1, 9)} ${random.pick(words.items)}`;
    return priced ? `${item} ${writeSum(random.between(100, 9999), style)}` : item;
  });
  return { value: String(count), cells, lines };
}

/** Values of the same kind as those that are asked for: another number, another day. */
function drawMisleading(draft: Draft, ordered: Day): Cell[] {
  const { random, days, trap } = draft;
  const cells: Cell[] = [];
  if (trap()) cells.push(cell(draft, 'supplier', String(random.between(100, 9999))));
  if (trap() && random.chance(0.5)) cells.push(cell(draft, 'quote', drawNumber(random)));
  if (trap() && random.chance(0.6)) {
    const label = random.pick(['printed', 'delivery'] as const);
    cells.push(
      cell(draft, label, writeDay(daysLater(ordered, random.between(label === 'printed' ? -20 : 1, 20)), days)),
    );
  }
  return cells;
}

function shuffle<T>(random: Random, items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, key: random.next() }))
    .toSorted((one, other) => one.key - other.key)
    .map(({ item }) => item);
}

function drawStyle({ random, place, difficulty }: Draft): SumStyle & { readonly announced: boolean } {
  const announced = random.chance(0.2 + 0.2 * difficulty);
  const reach = difficulty < 0.3 ? 3 : difficulty < 0.6 ? 5 : 6;
  return {
    layout: SUM_LAYOUTS[random.between(0, reach - 1)] ?? 'colon',
    format: drawNumberFormat(random),
    symbol: announced ? '' : random.pick(place.symbols),
    announced,
  };
}

/** The sums, and a foreign one behind them for the reader who takes the first code that comes along. */
function writeSums(draft: Draft, sums: OrderSums, style: SumStyle): string[] {
  const { random, place, words, difficulty } = draft;
  const cells = sums.lines.map(({ label, cents, rate }): Cell => {
    const name = random.pick(words.labels[label]);
    return { label: rate === undefined ? name : `${name} ${rate} %`, amount: writeSum(cents, style) };
  });
  const lines = layOutCells(random, cells, style.layout);
  if (random.chance(0.25 * difficulty)) {
    const others = CURRENCIES.filter((currency) => currency !== place.currency);
    const cents = Math.round((sums.totalCents * random.between(60, 160)) / 100);
    lines.push(`(= ${writeSum(cents, { ...style, symbol: random.pick(others) })})`);
  }
  return lines;
}

function compose(draft: Draft): { readonly lines: readonly string[]; readonly truth: OrderTruth } {
  const { random, place, words, days, difficulty } = draft;
  const style = drawStyle(draft);
  const ordered = drawDay(random);
  const number = drawNumber(random);
  const customer = String(random.between(100, 9999));
  const [due, express, items] = [sayDue(draft, ordered), sayExpress(draft), sayItems(draft, style)];
  const sums = drawOrderSums(random, draft.trap);
  const titled = random.chance(0.5);
  const cells = shuffle(random, [
    ...(titled ? [] : [cell(draft, 'number', number)]),
    cell(draft, 'date', writeDay(ordered, days)),
    cell(draft, 'customer', customer),
    ...[due, express, items].flatMap((said) => said.cells),
    ...drawMisleading(draft, ordered),
  ]);
  const layout = HEAD_LAYOUTS[random.between(0, difficulty < 0.4 ? 2 : 3)] ?? 'colon';
  const title = random.pick(words.titles);
  const lines = [
    `${random.pick(COMPANIES)} ${random.pick(COMPANY_FORMS)}, ${random.pick(place.towns)}`,
    titled ? `${title} ${number}` : title,
    ...layOutCells(random, cells, layout),
    ...items.lines,
    ...(style.announced ? [`${words.allAmountsIn} ${place.currency satisfies Currency}`] : []),
    ...writeSums(draft, sums, style),
    ...shuffle(random, [...due.lines, ...express.lines]),
  ];
  const truth: OrderTruth = {
    number,
    date: writeIsoDay(ordered),
    currency: place.currency,
    customer,
    items: items.value,
    net: writeTruth(sums.netCents),
    vat: writeTruth(sums.vatCents),
    total: writeTruth(sums.totalCents),
    due: due.value,
    express: express.value,
  };
  return { lines, truth };
}

const WORDS: Readonly<Record<string, OrderWords>> = { en: ENGLISH_ORDER, de: GERMAN_ORDER, fr: FRENCH_ORDER };

/** Draws one order; the same seed and split give the same one on every machine, for ever. */
export function generateOrder(seed: number, options: { readonly split: OrderSplit }): GeneratedOrder {
  const random = createRandom(`orders/${options.split}/${seed}`);
  const difficulty = random.next();
  const place = random.pick(PLACES);
  const words = WORDS[random.pick(place.languages)] ?? ENGLISH_ORDER;
  const style = drawDayStyle(random, difficulty);
  const days = { style, months: words.months, monthFirst: place.currency === 'USD' };
  const trapProbability = 0.05 + 0.5 * difficulty;
  const trap = (): boolean => random.chance(trapProbability);
  const { lines, truth } = compose({ random, difficulty, place, words, days, trap });
  return { text: smudge(random, lines.join('\n'), STRONGEST_NOISE * difficulty ** 1.5), truth, difficulty };
}
