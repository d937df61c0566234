import { CLOSE_ARRAY, CLOSE_OBJECT, COMMA, OPEN_ARRAY, OPEN_OBJECT } from './json-codes.ts';
import { walkJson } from './json-walk.ts';
import { SLICE_CHARACTERS, type Sliced } from './slices.ts';

/** How deep objects and arrays may be nested in a text, and how many values it may have: scalars, objects and arrays. */
export type JsonLimits = { readonly depth: number; readonly values: number };

/** Which limit a text goes beyond. */
export type JsonExcess = 'too_deep' | 'too_many_values';

/** What is seen of a text without parsing it. */
export type ScannedJson =
  /** It may be JSON. `long` has the strings, objects and arrays that are longer than a slice: where each begins and ends. */
  | { readonly kind: 'scanned'; readonly long: ReadonlyMap<number, number> }
  /** Its brackets or quotes do not fit. */
  | { readonly kind: 'no_json' }
  | { readonly kind: 'beyond'; readonly excess: JsonExcess };

/**
 * Counts what a parser would make of a text before one is let at it: parsing 15 MB of `[{}]` takes seconds, seeing that
 * it has too many values takes milliseconds. Without recursion, and no further than the limits go.
 */
export class JsonScan {
  readonly #text: string;
  readonly #limits: JsonLimits;
  /** Where each object or array begins that has not ended yet. */
  readonly #begins: number[] = [];
  /** Nothing stands yet in the last of them. */
  #isEmpty = false;
  readonly #long = new Map<number, number>();
  #values = 1;

  constructor(text: string, limits: JsonLimits) {
    this.#text = text;
    this.#limits = limits;
  }

  *run(): Sliced<ScannedJson> {
    const walked = yield* walkJson<ScannedJson>(this.#text, {
      onCode: (code, at) => this.#take(code, at),
      onString: (from, to) => this.#note(from, to),
    });
    if (walked.kind === 'found') return walked.found;
    const isWhole = !walked.isInString && this.#begins.length === 0;
    return isWhole ? { kind: 'scanned', long: this.#long } : { kind: 'no_json' };
  }

  /** Takes a character that is no blank and in no string; what is known then, if it is the end. */
  #take(code: number, at: number): ScannedJson | null {
    if (code === CLOSE_OBJECT || code === CLOSE_ARRAY) {
      const from = this.#begins.pop();
      if (from === undefined) return { kind: 'no_json' };
      if ((this.#text.charCodeAt(from) === OPEN_OBJECT) !== (code === CLOSE_OBJECT)) return { kind: 'no_json' };
      this.#isEmpty = false;
      this.#note(from, at + 1);
      return null;
    }
    if (code === COMMA) this.#values += 1;
    else if (this.#isEmpty) {
      this.#isEmpty = false;
      this.#values += 1;
    }
    if (this.#values > this.#limits.values) return { kind: 'beyond', excess: 'too_many_values' };
    if (code !== OPEN_OBJECT && code !== OPEN_ARRAY) return null;
    if (this.#begins.length >= this.#limits.depth) return { kind: 'beyond', excess: 'too_deep' };
    this.#begins.push(at);
    this.#isEmpty = true;
    return null;
  }

  #note(from: number, to: number): void {
    if (to - from > SLICE_CHARACTERS) this.#long.set(from, to);
  }
}
