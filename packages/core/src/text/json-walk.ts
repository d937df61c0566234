import { BACKSLASH, isJsonBlank, QUOTE } from './json-codes.ts';
import { SLICE_CHARACTERS, type Sliced } from './slices.ts';

/** Who looks at a text of JSON without parsing it. */
export type JsonWalker<Found> = {
  /** A string begins here, or something that is neither in one nor a blank stands here; what is found ends the walk. */
  readonly onCode: (code: number, at: number) => Found | null;
  /** A string, its quotes included. */
  readonly onString: (from: number, to: number) => void;
};

/** What came of a walk: what its walker found, or else whether the last string ended. */
export type WalkedJson<Found> =
  | { readonly kind: 'found'; readonly found: Found }
  | { readonly kind: 'end'; readonly isInString: boolean };

/** Passes over a text of JSON once, whatever its strings say. */
export function* walkJson<Found>(text: string, { onCode, onString }: JsonWalker<Found>): Sliced<WalkedJson<Found>> {
  let slice = SLICE_CHARACTERS;
  /** Where the string began that has not ended yet; -1: there is none. */
  let quote = -1;
  for (let at = 0; at < text.length; at += 1) {
    if (at >= slice) {
      slice = at + SLICE_CHARACTERS;
      yield;
    }
    const code = text.charCodeAt(at);
    if (quote === -1) {
      if (isJsonBlank(code)) continue;
      const found = onCode(code, at);
      if (found !== null) return { kind: 'found', found };
      if (code === QUOTE) quote = at;
    } else if (code === QUOTE) {
      onString(quote, at + 1);
      quote = -1;
    } else if (code === BACKSLASH) at += 1;
  }
  return { kind: 'end', isInString: quote !== -1 };
}
