import { createHash, hash as hashAtOnce } from 'node:crypto';
import { SLICE_CHARACTERS, type Sliced } from './slices.ts';

/** The first 32 hex digits of SHA-256 over the parts, separated so that no two lists of parts collide. */
export function digest(...parts: readonly string[]): string {
  // At once: an object that is given the pieces one by one takes twice as long, and each document has several.
  return hashAtOnce('sha256', parts.map((part) => `${Buffer.byteLength(part)}:${part}`).join('')).slice(0, 32);
}

/** 64 bits as two whole numbers. */
export type Bits = { readonly high: number; readonly low: number };

/** 64 bits of a text's digest. What must be the same text is compared as well: somebody may look for two with equal ones. */
export function digestBits(text: string): Bits {
  const bytes = hashAtOnce('md5', text, 'buffer');
  return { high: bytes.readUInt32LE(0), low: bytes.readUInt32LE(4) };
}

/** 128 bits of SHA-256 as four whole numbers. */
export type LongBits = readonly [number, number, number, number];

/**
 * 128 bits of a text's digest, which stand for the text: of those that somebody brings no two have the same, not even if
 * he looks for them.
 */
export function digestLongBits(text: string): LongBits {
  const bytes = hashAtOnce('sha256', text, 'buffer');
  return [bytes.readUInt32LE(0), bytes.readUInt32LE(4), bytes.readUInt32LE(8), bytes.readUInt32LE(12)];
}

/** The digest of two parts, the second of which is long and comes in pieces. */
export function* digestingPieces(part: string, pieces: readonly string[]): Sliced<string> {
  const bytes = pieces.reduce((sum, piece) => sum + Buffer.byteLength(piece), 0);
  const hash = createHash('sha256')
    .update(`${Buffer.byteLength(part)}:`)
    .update(part)
    .update(`${bytes}:`);
  let characters = 0;
  for (const piece of pieces) {
    hash.update(piece);
    characters += piece.length;
    if (characters < SLICE_CHARACTERS) continue;
    characters = 0;
    yield;
  }
  return hash.digest('hex').slice(0, 32);
}
