import { readFileSync } from 'node:fs';

/** The marks between the turns of a conversation; they stand first in the vocabulary and never come out of text. */
export const USER = 0;
export const ASSISTANT = 1;
export const END = 2;
const FIRST_BYTE = 3;
const FIRST_MERGE = FIRST_BYTE + 256;

/** Cuts text into words, single digits and runs of all else; training/train_tokenizer.py has the same rule. */
const PIECES = / ?\p{L}+|\d|(?:(?!\p{L}|\d| \p{L})[^])+|[^]/gu;

/** A message about a turn that this vocabulary has no mark for is dropped before it comes here. */
export interface Turn {
  readonly role: 'user' | 'assistant';
  readonly content: string;
}

export interface Tokenizer {
  readonly vocabularySize: number;
  encode(text: string): number[];
  /** Like `encode`, but the names of marks become marks: only for whole prompts that the caller lays out itself. */
  encodeMarked(text: string): number[];
  /** The bytes of a token; none for the marks between turns. */
  bytesOf(token: number): Uint8Array;
  /** A token as text: invalid UTF-8 shows as U+FFFD, marks by their names. */
  nameOf(token: number): string;
  decode(tokens: readonly number[]): string;
}

interface TokenizerFile {
  readonly specials: readonly string[];
  readonly merges: readonly (readonly [left: number, right: number])[];
}

function mergeBest(symbols: number[], ranks: ReadonlyMap<number, number>): number[] {
  for (;;) {
    let best = Number.POSITIVE_INFINITY;
    let at = -1;
    for (let i = 0; i + 1 < symbols.length; i++) {
      const rank = ranks.get((symbols[i] ?? 0) * 65536 + (symbols[i + 1] ?? 0));
      if (rank !== undefined && rank < best) {
        best = rank;
        at = i;
      }
    }
    if (at < 0) return symbols;
    symbols.splice(at, 2, FIRST_MERGE + best);
  }
}

/** Builds the vocabulary's byte strings: a merge is its two parts, which always come before it. */
function buildBytes(file: TokenizerFile): Uint8Array[] {
  const bytes: Uint8Array[] = file.specials.map(() => new Uint8Array(0));
  for (let byte = 0; byte < 256; byte++) bytes.push(Uint8Array.of(byte));
  for (const [left, right] of file.merges)
    bytes.push(Uint8Array.from([...(bytes[left] ?? []), ...(bytes[right] ?? [])]));
  return bytes;
}

function createTokenizer(file: TokenizerFile): Tokenizer {
  const bytes = buildBytes(file);
  const ranks = new Map(file.merges.map(([left, right], rank) => [left * 65536 + right, rank]));
  const encoder = new TextEncoder();
  const encodePiece = (piece: string): number[] =>
    mergeBest(
      Array.from(encoder.encode(piece), (byte) => byte + FIRST_BYTE),
      ranks,
    );
  const bytesOf = (token: number): Uint8Array => bytes[token] ?? new Uint8Array(0);
  const decode = (tokens: readonly number[]): string => Buffer.concat(tokens.map(bytesOf)).toString('utf8');
  const encode = (text: string): number[] => (text.match(PIECES) ?? []).flatMap(encodePiece);
  const encodeMarked = (text: string): number[] =>
    text.split(/(<\|[a-z]+\|>)/u).flatMap((part) => {
      const mark = file.specials.indexOf(part);
      return mark < 0 ? encode(part) : [mark];
    });
  return {
    vocabularySize: bytes.length,
    encode,
    encodeMarked,
    bytesOf,
    nameOf: (token) => file.specials[token] ?? decode([token]),
    decode,
  };
}

export function loadTokenizer(path: string | URL): Tokenizer {
  return createTokenizer(JSON.parse(readFileSync(path, 'utf8')) as TokenizerFile);
}

/** Lays a conversation out as the models were trained: each turn behind its mark, an answer closed by the end mark. */
export function encodeTurns(tokenizer: Tokenizer, turns: readonly Turn[]): number[] {
  return turns.flatMap((turn) =>
    turn.role === 'user'
      ? [USER, ...tokenizer.encode(turn.content)]
      : [ASSISTANT, ...tokenizer.encode(turn.content), END],
  );
}
