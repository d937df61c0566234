import { LIMITS } from '../../limits.ts';
import {
  CLOSE_ARRAY,
  CLOSE_OBJECT,
  COLON,
  COMMA,
  isJsonBlank,
  OPEN_ARRAY,
  OPEN_OBJECT,
  QUOTE,
} from '../../text/json-codes.ts';
import { readingJson } from '../../text/json-read.ts';
import { walkJson } from '../../text/json-walk.ts';
import { isJsonObject, type JsonObject } from '../../text/json.ts';
import type { Sliced } from '../../text/slices.ts';
import { escapeToken } from './pointer.ts';

/** Where a value stands in a text of JSON; all places are indices of UTF-16 units. */
export type Place = {
  readonly kind: 'object' | 'array' | 'scalar';
  /** By JSON pointer. */
  readonly path: string;
  readonly parent: Place | null;
  /** The outermost array that it is in; null: it is reached through objects alone. */
  readonly array: Place | null;
  /** Its name in an object; empty where it has none. */
  readonly name: string;
  /** Where its name stands, with the quotes; both 0 where it has none. */
  readonly nameFrom: number;
  readonly nameTo: number;
  readonly from: number;
  to: number;
  /** The scalars in it, itself if it is one: from this one on, and before that one. */
  readonly firstScalar: number;
  scalarsEnd: number;
  /** What an object has, by name; null: nothing, or it is none. */
  members: Map<string, Place> | null;
};

/** An object as a text says it. */
export type ReadObject = {
  readonly kind: 'object';
  readonly value: JsonObject;
  readonly root: Place;
  /** In the order of the text, as `fieldsOf` has them. */
  readonly scalars: readonly Place[];
  /** Objects and arrays with nothing in them, which no signal scores. */
  readonly empty: readonly Place[];
  /** Objects that are reached through objects alone. */
  readonly objects: readonly Place[];
};

/** Why a text cannot be taken apart. */
export type NoObject = {
  readonly kind: 'whole';
  /** `repeated_names`: an object has two members of one name, of which readers take either. */
  readonly reason: 'no_object' | 'repeated_names' | 'too_large';
};

/**
 * Texts with more values are not taken apart: of a draft a thousand scalars have scores of their own, and ten times as
 * many values are placed in 10 ms.
 */
const READ = { depth: LIMITS.jsonDepth, values: 10_000 };

/** Reads a JSON object and where its values stand, in one pass of each. */
export function* readObject(text: string): Sliced<ReadObject | NoObject> {
  if (text.length > LIMITS.judgedCharacters) return { kind: 'whole', reason: 'too_large' };
  const read = yield* readingJson(text, READ);
  if (read.kind === 'beyond') return { kind: 'whole', reason: 'too_large' };
  if (read.kind === 'no_json' || !isJsonObject(read.value)) return { kind: 'whole', reason: 'no_object' };
  const scan = new PlaceScan(text);
  yield* walkJson<never>(text, {
    onCode: (code, at) => scan.takeCode(code, at),
    onString: (from, to) => scan.takeString(from, to),
  });
  const { root, scalars, empty, objects } = scan;
  if (scan.isRepeated || root === null) return { kind: 'whole', reason: 'repeated_names' };
  return { kind: 'object', value: read.value, root, scalars, empty, objects };
}

/** The place that tokens of a pointer lead to through objects; null: there is none. */
export function placeAt(root: Place, tokens: readonly string[]): Place | null {
  let place: Place | null = root;
  for (const token of tokens) place = place?.members?.get(token) ?? null;
  return place;
}

/** An object or array that has not ended yet. */
type Level = {
  readonly place: Place;
  expectsName: boolean;
  name: string;
  nameFrom: number;
  nameTo: number;
  /** Of the next item of an array. */
  index: number;
};

/** Takes a text apart that has been parsed before. */
class PlaceScan {
  root: Place | null = null;
  readonly scalars: Place[] = [];
  readonly empty: Place[] = [];
  readonly objects: Place[] = [];
  isRepeated = false;
  readonly #text: string;
  readonly #levels: Level[] = [];

  constructor(text: string) {
    this.#text = text;
  }

  takeCode(code: number, at: number): null {
    if (code === OPEN_OBJECT || code === OPEN_ARRAY) {
      const place = this.#add(code === OPEN_OBJECT ? 'object' : 'array', at, at);
      if (place.kind === 'object' && place.array === null) this.objects.push(place);
      const expectsName = place.kind === 'object';
      this.#levels.push({ place, expectsName, name: '', nameFrom: 0, nameTo: 0, index: 0 });
    } else if (code === CLOSE_OBJECT || code === CLOSE_ARRAY) this.#end(at + 1);
    else if (code === COMMA) {
      const level = this.#levels.at(-1);
      if (level !== undefined) level.expectsName = level.place.kind === 'object';
    } else if (code !== COLON && code !== QUOTE) this.#add('scalar', at, wordEnd(this.#text, at));
    return null;
  }

  takeString(from: number, to: number): void {
    const level = this.#levels.at(-1);
    if (level?.expectsName !== true) {
      this.#add('scalar', from, to);
      return;
    }
    const quoted = this.#text.slice(from, to);
    const name = quoted.includes('\\') ? (JSON.parse(quoted) as string) : quoted.slice(1, -1);
    Object.assign(level, { name, nameFrom: from, nameTo: to, expectsName: false });
  }

  #add(kind: Place['kind'], from: number, to: number): Place {
    const level = this.#levels.at(-1);
    const parent = level?.place ?? null;
    const place: Place = {
      kind,
      path: level === undefined ? '' : this.#pathIn(level),
      parent,
      array: parent?.array ?? (parent?.kind === 'array' ? parent : null),
      name: level?.name ?? '',
      nameFrom: level?.nameFrom ?? 0,
      nameTo: level?.nameTo ?? 0,
      from,
      to,
      firstScalar: this.scalars.length,
      scalarsEnd: this.scalars.length + (kind === 'scalar' ? 1 : 0),
      members: null,
    };
    if (kind === 'scalar') this.scalars.push(place);
    if (level === undefined) this.root = place;
    else if (level.place.kind === 'array') level.index += 1;
    else {
      const members = (level.place.members ??= new Map<string, Place>());
      if (members.has(level.name)) this.isRepeated = true;
      members.set(level.name, place);
    }
    return place;
  }

  /** A long name is shared by all that is beneath it: joined strings are copied only where somebody looks into them. */
  #pathIn({ place, name, index }: Level): string {
    return `${place.path}/${place.kind === 'object' ? escapeToken(name) : index}`;
  }

  #end(to: number): void {
    const level = this.#levels.pop();
    if (level === undefined) return;
    const { place, index } = level;
    place.to = to;
    place.scalarsEnd = this.scalars.length;
    if (index === 0 && place.members === null) this.empty.push(place);
  }
}

function wordEnd(text: string, from: number): number {
  let at = from;
  while (at < text.length && !endsWord(text.charCodeAt(at))) at += 1;
  return at;
}

const endsWord = (code: number): boolean =>
  code === COMMA || code === CLOSE_OBJECT || code === CLOSE_ARRAY || isJsonBlank(code);
