import { COMPANIES, COMPANY_FORMS } from './companies.ts';
import type { SumStyle } from './layout.ts';
import { drawLayout, layOutSums, writeSum } from './layout.ts';
import { drawNumberFormat, writeTruth } from './money.ts';
import { smudge } from './noise.ts';
import type { Currency, Place } from './places.ts';
import { CURRENCIES, PLACES, SHIFTED_PLACES } from './places.ts';
import type { Random } from './random.ts';
import { createRandom } from './random.ts';
import { drawSums } from './sums.ts';
import { ENGLISH } from './words-en.ts';
import { FRENCH } from './words-fr.ts';
import { GERMAN } from './words-de.ts';
import { DUTCH, ITALIAN } from './words-shifted.ts';
import type { DocumentType, Language, Words } from './words.ts';
import { TYPES } from './words.ts';

export const SPLITS = ['train', 'calibration', 'test', 'demo', 'shifted'] as const;
/** What a document is for. No two splits ever draw the same document, because the split is part of its seed. */
export type Split = (typeof SPLITS)[number];

/** What a right answer says. */
export interface Truth {
  readonly type: DocumentType;
  readonly currency: Currency;
  readonly total: string;
}

export interface GeneratedDocument {
  readonly text: string;
  readonly truth: Truth;
  /** From 0 (clean and plain) to 1: it drives noise, traps, missing titles and hidden currencies alike. */
  readonly difficulty: number;
}

const WORDS: Readonly<Record<Language, Words>> = { en: ENGLISH, de: GERMAN, fr: FRENCH, it: ITALIAN, nl: DUTCH };

/** The hardest documents lose about one character in thirty; twice that and nobody can distinguish the labels. */
const STRONGEST_NOISE = 0.035;

/** The lines above the sums: who, where, what kind of paper. */
function writeHead(random: Random, place: Place, type: DocumentType, words: Words, difficulty: number): string[] {
  const number = String(random.between(100, 9999));
  const company = `${random.pick(COMPANIES)} ${random.pick(COMPANY_FORMS)}`;
  const town = random.pick(place.towns);
  const titled = !random.chance(0.45 * difficulty);
  const title = random.pick(titled ? words.titles[type] : words.neutralTitles);
  const hint = random.pick(words.hints[type]).replace('{n}', String(random.between(100, 9999)));
  const day = `${String(random.between(1, 28)).padStart(2, '0')}.${String(random.between(1, 12)).padStart(2, '0')}`;
  const head = [`${company}, ${town}`, `${title} ${number}`];
  if (random.chance(0.25)) head.push(`${words.date} ${day}`);
  // Without a title the hint is all there is; with one it is there half the time and names another type as often as not.
  if (!titled || random.chance(0.5)) head.push(hint);
  if (random.chance(0.35)) head.unshift(head.splice(1, 1)[0] ?? '');
  return head;
}

/** Where the currency is written: at every sum, or once for the whole document. */
function drawStyle(
  random: Random,
  place: Place,
  difficulty: number,
  shifted: boolean,
): SumStyle & { announced: boolean } {
  const announced = random.chance(0.15 + 0.2 * difficulty);
  const symbol = announced ? '' : random.pick(place.symbols);
  const layout = shifted ? random.pick(['pipes', 'reversed', 'columns'] as const) : drawLayout(random, difficulty);
  return { layout, format: drawNumberFormat(random), symbol, announced };
}

/** A sum in a currency that is not the document's, for the reader who takes the first code that comes along. */
function writeForeign(random: Random, place: Place, totalCents: number, style: SumStyle): string {
  const others = CURRENCIES.filter((currency) => currency !== place.currency);
  const rate = random.between(60, 160) / 100;
  return `(= ${writeSum(Math.round(totalCents * rate), { ...style, symbol: random.pick(others) })})`;
}

function composeLines(
  random: Random,
  type: DocumentType,
  place: Place,
  difficulty: number,
  shifted: boolean,
): { lines: string[]; totalCents: number } {
  const words = WORDS[random.pick(place.languages)];
  const trapProbability = 0.05 + 0.6 * difficulty;
  const sums = drawSums(random, type, () => random.chance(trapProbability));
  const style = drawStyle(random, place, difficulty, shifted);
  const lines = writeHead(random, place, type, words, difficulty);
  if (random.chance(0.5)) {
    const price = writeSum(random.between(100, 9999), style);
    lines.push(`${random.between(1, 9)} ${random.pick(words.items)} ${price}`);
  }
  if (style.announced) lines.push(`${words.allAmountsIn} ${place.currency}`);
  lines.push(...layOutSums(random, sums.lines, words, style));
  if (random.chance(0.35 * difficulty)) lines.push(writeForeign(random, place, sums.totalCents, style));
  if (random.chance(0.4))
    lines.push(`IBAN ${place.accountPrefix}${random.between(10, 99)} ${random.between(1000, 9999)}`);
  return { lines, totalCents: sums.totalCents };
}

/** Draws one document; the same seed and split give the same document on every machine, for ever. */
export function generateDocument(seed: number, options: { readonly split: Split }): GeneratedDocument {
  const random = createRandom(`${options.split}/${seed}`);
  const shifted = options.split === 'shifted';
  const difficulty = random.next();
  const type = random.pick(TYPES);
  const place = random.pick(shifted ? SHIFTED_PLACES : PLACES);
  const { lines, totalCents } = composeLines(random, type, place, difficulty, shifted);
  const text = smudge(random, lines.join('\n'), STRONGEST_NOISE * difficulty ** 1.5);
  return { text, truth: { type, currency: place.currency, total: writeTruth(totalCents) }, difficulty };
}
