import type { TokenLogprob } from './completion-tokens.ts';
import { readingsOf, type TokenReading } from './token-reading.ts';
import { findWithHalves } from './token-halves.ts';
import { HARMONY_FINAL } from './thought.ts';
import { mapSliced, SLICE_ITEMS, type Sliced } from '../text/slices.ts';

/** A text that a model wrote, and which part of it is the answer; the rest is a thought. */
export type Written = { readonly raw: string; readonly from: number; readonly to: number };

/** What else is known of a text that log-probs are to be of. */
export type AlignmentOptions = {
  /** The model thought in another place than the text: its thoughts may be among the tokens. */
  readonly reasoned: boolean;
  /** How many tokens the server says that the answer has; null: it does not say. */
  readonly count: number | null;
  /** How many more its thoughts have, as far as the server says. */
  readonly thoughts: number;
  /** Where generation stops: servers list the tokens of what they stopped at, too. */
  readonly stops: readonly string[];
};

/** Where the tokens of an answer are in a list, and the tokens as they are read there. */
export type AnswerTokens = {
  readonly first: number;
  /** Behind the last one. */
  readonly end: number;
  readonly tokens: readonly TokenLogprob[];
};

/** llama.cpp counts the end token; others count what they cut at a stop string, too. */
const COUNT_TOLERANCE = 2;

/** Of an answer with fewer tokens than this no more than its end token may be counted and not listed. */
const MIN_TOLERANT_TOKENS = 20;

/** More places than this that look like the answer but do not begin with a token are not looked at. */
const MAX_CANDIDATES = 1000;

/** Nor are they once so many bytes have been compared: a text that repeats itself is like itself in many places. */
const MAX_COMPARED_BYTES = 32 * 1024 * 1024;

/** So far ahead a token is looked for in a text of which tokens are missing. */
const MAX_GAP_BYTES = 4096;

/**
 * The tokens that an answer is made of; null: they do not cover it. Whatever is missing makes a draft look surer than it
 * is, so every byte of the answer but its white space must be some token's. Thoughts may stand before it, as a model
 * that reasons has them in its log-probs, and end marks behind it; a stop string may cut its last token. Only where the
 * tokens are written in a way that nobody can lay over the text does the server's own count decide.
 */
export function* answerTokens(
  tokens: readonly TokenLogprob[],
  written: Written,
  options: AlignmentOptions,
): Sliced<AnswerTokens | null> {
  const text = written.raw.slice(written.from, written.to);
  const isWhole = text === written.raw;
  if (isWhole && tokens.map((one) => one.token).join('') === text) return { first: 0, end: tokens.length, tokens };
  const readings = readingsOf(tokens);
  const known = { ...options, reasoned: options.reasoned || !isWhole };
  for (const find of [findBytes, findWithHalves]) {
    for (const reading of readings) {
      yield;
      const pieces = yield* mapSliced(tokens, (one) => unspaced(reading.bytesOf(one)));
      yield;
      const inRaw = isWhole || find !== findBytes ? null : yield* findInRaw(pieces, written);
      const found = inRaw ?? (yield* findAnswer(find, pieces, text, tokens, known));
      if (found === null) continue;
      // White space that nothing stands before was written with the answer.
      const isFirst = pieces.slice(0, found.first).every(({ length }) => length === 0);
      const first = isFirst ? 0 : withBeginnings(tokens, found.first);
      return { first, end: found.end, tokens: yield* mapSliced(tokens.slice(first, found.end), readBy(reading)) };
    }
  }
  const isUnreadable = !known.reasoned && !tokens.some(isThoughtMark) && !(yield* isPartOf(tokens, text, readings));
  return isUnreadable && isCountOf(tokens, options.count) ? { first: 0, end: tokens.length, tokens } : null;
}

/** A character that comes whole with a token began with the empty ones before it. */
function withBeginnings(tokens: readonly TokenLogprob[], first: number): number {
  let begin = first;
  while (begin > 0 && isEmpty(tokens[begin - 1])) begin -= 1;
  return begin;
}

const isEmpty = (token: TokenLogprob | undefined): boolean =>
  token?.token === '' && (token.bytes === null || token.bytes.length === 0);

type Place = { readonly first: number; readonly end: number };

/** Finds bytes among pieces, the last place first: it must begin and should end with a piece. */
type Find = (pieces: readonly Buffer[], wanted: Buffer, accepts: (place: Place) => boolean) => Sliced<Place | null>;

/** Where the bytes begin among all of them, and the pieces that hold them. */
type Found = Place & { readonly at: number };

/** The answer's own tokens where those of its thought are listed, too: whatever a token begins in. */
function* findInRaw(pieces: readonly Buffer[], { raw, from, to }: Written): Sliced<Place | null> {
  const found = yield* findBytes(pieces, unspaced(Buffer.from(raw)), () => true);
  if (found === null) return null;
  const starts = startsOf(pieces);
  const begin = found.at + unspaced(Buffer.from(raw.slice(0, from))).length;
  const length = unspaced(Buffer.from(raw.slice(from, to))).length;
  if (length === 0) return { first: found.end, end: found.end };
  return { first: pieceAt(starts, begin), end: pieceAt(starts, begin + length - 1) + 1 };
}

/**
 * What a thought says of the answer is not the answer: a thought that begins among the tokens must end before it, and
 * behind it no more than marks and a stop string may come.
 */
function* findAnswer(
  find: Find,
  pieces: readonly Buffer[],
  text: string,
  tokens: readonly TokenLogprob[],
  { reasoned, count, thoughts, stops }: AlignmentOptions,
): Sliced<Place | null> {
  const lastThought = tokens.findLastIndex(isThoughtMark);
  const hasThoughts = reasoned || lastThought !== -1;
  const most = stops.length === 0 ? 0 : MAX_STOP_TAIL_BYTES + Math.max(...stops.map((stop) => stop.length));
  yield;
  const tails = tailsOf(pieces, tokens);
  yield;
  const open = openThoughts(tokens);
  yield;
  // Without a mark between them a list of the thought alone looks like one of both.
  const isMarked = lastThought !== -1 || HARMONY_FINAL.test(tokens.map(({ token }) => token).join(''));
  const mayLack = reasoned && !isMarked && count !== null && tokens.length < count + thoughts - 1;
  return yield* find(pieces, unspaced(Buffer.from(text)), ({ first, end }) => {
    if (!hasThoughts) return true;
    if (open[first] === true || (mayLack && tails[0] !== tails[first])) return false;
    return end > lastThought && (tails[end] ?? 0) <= most;
  });
}

/** Whether a thought has begun and not ended before each token. */
function openThoughts(tokens: readonly TokenLogprob[]): boolean[] {
  let isOpen = false;
  return tokens.map(({ token }) => {
    const isOpenBefore = isOpen;
    const mark = [...token.matchAll(THOUGHT_MARKS)].at(-1)?.[0];
    if (mark !== undefined) isOpen = !mark.includes('/');
    return isOpenBefore;
  });
}

/** How many bytes there are from each piece on, but for marks. */
function tailsOf(pieces: readonly Buffer[], tokens: readonly TokenLogprob[]): number[] {
  const tails = Array.from({ length: pieces.length + 1 }, () => 0);
  for (let at = pieces.length - 1; at >= 0; at -= 1) {
    const own = isMark(tokens[at]?.token ?? '') ? 0 : (pieces[at]?.length ?? 0);
    tails[at] = (tails[at + 1] ?? 0) + own;
  }
  return tails;
}

/** The last token of what generation stopped at may go on. */
const MAX_STOP_TAIL_BYTES = 16;

function* findBytes(
  pieces: readonly Buffer[],
  wanted: Buffer,
  accepts: (place: Place) => boolean,
): Sliced<Found | null> {
  if (wanted.length === 0) return null;
  const all = Buffer.concat(pieces);
  const starts = startsOf(pieces);
  return (
    (yield* lastPlace(all, wanted, { pieces, starts, accepts, endsWithPiece: true })) ??
    (yield* lastPlace(all, wanted, { pieces, starts, accepts, endsWithPiece: false }))
  );
}

function* lastPlace(
  all: Buffer,
  wanted: Buffer,
  options: {
    readonly pieces: readonly Buffer[];
    readonly starts: readonly number[];
    readonly accepts: (place: Place) => boolean;
    readonly endsWithPiece: boolean;
  },
): Sliced<Found | null> {
  const { pieces, starts, accepts, endsWithPiece } = options;
  const most = Math.min(MAX_CANDIDATES, Math.ceil(MAX_COMPARED_BYTES / wanted.length));
  let at = all.lastIndexOf(wanted);
  for (let tried = 0; at >= 0 && tried < most; tried += 1) {
    yield;
    const first = pieceAt(starts, at);
    const last = pieceAt(starts, at + wanted.length - 1);
    const ends = (starts[last] ?? 0) + (pieces[last]?.length ?? 0) === at + wanted.length;
    const place = { first, end: last + 1 };
    if (starts[first] === at && (ends || !endsWithPiece) && accepts(place)) return { ...place, at };
    at = at === 0 ? -1 : all.lastIndexOf(wanted, at - 1);
  }
  return null;
}

/** White space is trimmed, added and cleaned up by servers, and says nothing: it is no part of what is compared. */
function unspaced(bytes: Buffer): Buffer {
  return bytes.some(isSpace) ? Buffer.from(bytes.filter((byte) => !isSpace(byte))) : bytes;
}

const isSpace = (byte: number): boolean => byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);

function startsOf(pieces: readonly Buffer[]): number[] {
  const starts: number[] = [];
  let length = 0;
  for (const piece of pieces) {
    starts.push(length);
    length += piece.length;
  }
  return starts;
}

/** The index of the piece that holds a byte. */
function pieceAt(starts: readonly number[], byte: number): number {
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((starts[middle] ?? 0) <= byte) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Tokens with the words and the bytes that they stand for. */
function readBy({ bytesOf, isOwn }: TokenReading): (token: TokenLogprob) => TokenLogprob {
  if (isOwn) return (token) => token;
  const wordOf = (token: string): string => bytesOf({ token, bytes: null, logprob: 0, top: [] }).toString();
  return ({ token, logprob, top }) => ({
    token: wordOf(token),
    bytes: [...bytesOf({ token, bytes: null, logprob, top })],
    logprob,
    top: top.map((one) => ({ ...one, token: wordOf(one.token) })),
  });
}

const THOUGHT_MARKS = /<\/?(?:seed:)?think|\[\/?THINK\]|◁\/?think▷/g;

const isThoughtMark = ({ token }: TokenLogprob): boolean => token.search(THOUGHT_MARKS) !== -1;

/** End marks and their like, which are in no text. */
const isMark = (token: string): boolean => /^(?:<[^<>]*>|\[[A-Z_/]+\]|)$/.test(token.trim());

/** Whether most tokens are a text's own in some reading, so that those which lack are missing and not merely unreadable. */
function* isPartOf(tokens: readonly TokenLogprob[], text: string, readings: readonly TokenReading[]): Sliced<boolean> {
  const wanted = unspaced(Buffer.from(text));
  for (const { bytesOf } of readings) {
    let [at, found, all] = [0, 0, 0];
    for (const [index, token] of tokens.entries()) {
      if (index % SLICE_ITEMS === SLICE_ITEMS - 1) yield;
      const piece = unspaced(bytesOf(token));
      if (piece.length === 0 || isMark(token.token)) continue;
      all += 1;
      const place = wanted.subarray(at, at + MAX_GAP_BYTES).indexOf(piece);
      if (place === -1) continue;
      found += 1;
      at += place + piece.length;
    }
    if (found * 2 >= all) return true;
  }
  return false;
}

function isCountOf(tokens: readonly TokenLogprob[], count: number | null): boolean {
  if (count === null) return false;
  const lacking = count < MIN_TOLERANT_TOKENS ? 1 : COUNT_TOLERANCE;
  return tokens.length <= count + COUNT_TOLERANCE && tokens.length >= count - lacking;
}
