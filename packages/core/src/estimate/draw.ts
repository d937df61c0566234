import { digestBits } from '../text/digest.ts';
import type { Sliced } from '../text/slices.ts';
import { SLICE_DOCUMENTS, type DocumentSizes } from './document-sizes.ts';

/** A cascade's price beside that of others, by its place in the sizes' `cascades`; 0: it costs nothing. */
export type Rates = readonly number[];

/** Sums over all documents that are asked about. */
export type Population = {
  readonly documents: number;
  readonly characters: number;
  /** Of the rates of their cascades, and of rates times characters. */
  readonly rates: number;
  readonly pricedCharacters: number;
};

/** A document of a pilot by its place in the sizes. */
export type DrawnPlace = {
  readonly at: number;
  /** How likely it was to be drawn. */
  readonly chance: number;
};

export type Drawn = { readonly population: Population; readonly documents: readonly DrawnPlace[] };

type Weights = { readonly sizes: DocumentSizes; readonly rates: Rates; readonly population: Population };

/**
 * Draws `most` documents by a keyed hash of their indexes: a third of the chances is even, a third goes by the price of
 * the cascade, and a third by that and the characters. So whatever is counted of a document, its share, price or tokens,
 * one drawn stands for about as much as another, and the few large ones that a batch's price may hang on are drawn for
 * sure. Pareto sampling (Rosén 1997) keeps these chances with a fixed number: the documents with the
 * least (u / (1 − u)) / (c / (1 − c)) come first.
 */
export function* drawingPilot(sizes: DocumentSizes, rates: Rates, most: number, key: string): Sliced<Drawn> {
  const population = yield* populationOf(sizes, rates);
  const weights: Weights = { sizes, rates, population };
  if (most >= sizes.size) {
    return { population, documents: Array.from({ length: sizes.size }, (_, at) => ({ at, chance: 1 })) };
  }
  const scale = yield* scaleOf(weights, most);
  const hash = keyedHash(key);
  const drawn: (DrawnPlace & { readonly rank: number })[] = [];
  for (let at = 0; at < sizes.size; at += 1) {
    if (at % SLICE_DOCUMENTS === SLICE_DOCUMENTS - 1) yield;
    const chance = Math.min(1, scale * weightOf(weights, at));
    const u = hash(sizes.documentAt(at));
    const rank = chance >= 1 ? u - 1 : (u / (1 - u)) * ((1 - chance) / chance);
    if (drawn.length === most && rank >= (drawn.at(-1)?.rank ?? 0)) continue;
    const place = drawn.findIndex((one) => rank < one.rank);
    drawn.splice(place === -1 ? drawn.length : place, 0, { at, chance, rank });
    if (drawn.length > most) drawn.pop();
  }
  return { population, documents: drawn.map(({ at, chance }) => ({ at, chance })) };
}

/**
 * A part of a pilot, in the order in which it was drawn, with the chances that it has by itself. Those that were drawn for
 * sure still are; null: not even they are all there.
 */
export function shortened(documents: readonly DrawnPlace[], count: number): readonly DrawnPlace[] | null {
  const sure = documents.filter(({ chance }) => chance >= 1).length;
  if (count < Math.min(documents.length, Math.max(1, sure))) return null;
  const share = documents.length === sure ? 1 : (count - sure) / (documents.length - sure);
  return documents.slice(0, count).map(({ at, chance }) => ({ at, chance: chance >= 1 ? 1 : chance * share }));
}

function* populationOf(sizes: DocumentSizes, rates: Rates): Sliced<Population> {
  let [characters, sum, priced] = [0, 0, 0];
  for (let at = 0; at < sizes.size; at += 1) {
    if (at % SLICE_DOCUMENTS === SLICE_DOCUMENTS - 1) yield;
    const rate = rates[sizes.cascadeAt(at)] ?? 0;
    characters += sizes.charactersAt(at);
    sum += rate;
    priced += rate * sizes.charactersAt(at);
  }
  return { documents: sizes.size, characters, rates: sum, pricedCharacters: priced };
}

/** All weights together are 1. */
function weightOf({ sizes, rates, population }: Weights, at: number): number {
  const rate = rates[sizes.cascadeAt(at)] ?? 0;
  const even = 1 / population.documents;
  const byPrice = population.rates > 0 ? rate / population.rates : even;
  const characters = sizes.charactersAt(at);
  const byCharacters = population.characters > 0 ? characters / population.characters : even;
  const bySize = population.pricedCharacters > 0 ? (rate * characters) / population.pricedCharacters : byCharacters;
  return (even + byPrice + bySize) / 3;
}

/** What makes chances of weights that are `most` together: none is above 1, and what is cut off there goes to the others. */
function* scaleOf(weights: Weights, most: number): Sliced<number> {
  let scale = most;
  for (;;) {
    let [sure, rest] = [0, 0];
    for (let at = 0; at < weights.sizes.size; at += 1) {
      if (at % SLICE_DOCUMENTS === SLICE_DOCUMENTS - 1) yield;
      const weight = weightOf(weights, at);
      if (scale * weight >= 1) sure += 1;
      else rest += weight;
    }
    const next = sure >= most || rest <= 0 ? scale : (most - sure) / rest;
    if (next <= scale * (1 + 1e-9)) return scale;
    scale = next;
  }
}

/** A number between 0 and 1 for each index, the same for the same key: murmur3's finalizer, twice. */
function keyedHash(key: string): (index: number) => number {
  const { high, low } = digestBits(key);
  const mix = (value: number): number => {
    let mixed = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
    return (mixed ^ (mixed >>> 16)) >>> 0;
  };
  return (index) => (mix(mix(index ^ high) ^ low) + 0.5) / 2 ** 32;
}
