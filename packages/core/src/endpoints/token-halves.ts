import type { Sliced } from '../text/slices.ts';

/** What servers write for a part of a character that a token ends in: U+FFFD. */
const HALF = Buffer.from('\uFFFD');

/** More comparisons than this are not made: then nobody can say where the answer is. */
const MAX_STEPS = 1_000_000;

/** So many of them are one slice. */
const SLICE_STEPS = 20_000;

/** How many comparisons may still be made, and at which number the next slice begins. */
type Budget = { steps: number; slice: number };

type Place = { readonly first: number; readonly end: number };

/**
 * Finds bytes among pieces of which some have a `�` where half of a character is: it stands for one to three bytes that
 * are no ASCII. The last place first, from a piece's beginning to a piece's end.
 */
export function* findWithHalves(
  pieces: readonly Buffer[],
  wanted: Buffer,
  accepts: (place: Place) => boolean,
): Sliced<Place | null> {
  if (wanted.length === 0 || !pieces.some((piece) => piece.includes(HALF))) return null;
  const budget: Budget = { steps: MAX_STEPS, slice: MAX_STEPS - SLICE_STEPS };
  for (let first = pieces.length - 1; first >= 0 && budget.steps > 0; first -= 1) {
    if (pieces[first]?.length === 0) continue;
    const end = yield* endFrom(pieces, first, wanted, budget);
    if (end === null || !accepts({ first, end })) continue;
    // Of several halves the last ones alone would do.
    let begin = first;
    while (begin > 0 && (yield* endFrom(pieces, begin - 1, wanted, budget)) === end) begin -= 1;
    return { first: begin, end };
  }
  return null;
}

/** Behind the last piece that may end the bytes which begin with a piece; null: they do not. */
function* endFrom(pieces: readonly Buffer[], first: number, wanted: Buffer, budget: Budget): Sliced<number | null> {
  let end: number | null = null;
  /** How far the bytes may be written so far. */
  let reached = new Set([0]);
  for (let index = first; index < pieces.length && reached.size > 0 && budget.steps > 0; index += 1) {
    if (budget.steps < budget.slice) {
      budget.slice = budget.steps - SLICE_STEPS;
      yield;
    }
    const piece = pieces[index] ?? Buffer.alloc(0);
    for (let at = 0; at < piece.length && reached.size > 0;) {
      const isHalf = piece.subarray(at, at + HALF.length).equals(HALF);
      const next = new Set<number>();
      for (const place of reached) {
        budget.steps -= 1;
        if (!isHalf) {
          if (wanted[place] === piece[at]) next.add(place + 1);
          continue;
        }
        for (let length = 1; length <= 3 && (wanted[place + length - 1] ?? 0) >= 0x80; length += 1) {
          next.add(place + length);
        }
      }
      reached = next;
      at += isHalf ? HALF.length : 1;
    }
    if (piece.length > 0 && reached.has(wanted.length)) end = index + 1;
  }
  return end;
}
