import { KEYS, type FinalRecord } from '@spillway/core';
import type { Storage } from '@spillway/storage';

/** A run of bytes of an object in storage; `end` is the byte behind the last. */
export type Piece = { readonly key: string; readonly start: number; readonly end: number };

/** The pieces of a batch's output or error file: each page begins with its output lines, its error lines follow. */
export function resultPieces(batch: string, part: 'output' | 'error', pages: FinalRecord['pages']): Piece[] {
  return pages.flatMap(([outputBytes, errorBytes], page) => {
    const start = part === 'output' ? 0 : outputBytes;
    const length = part === 'output' ? outputBytes : errorBytes;
    return length === 0 ? [] : [{ key: KEYS.page(batch, page), start, end: start + length }];
  });
}

export function lengthOf(pieces: readonly Piece[]): number {
  return pieces.reduce((sum, { start, end }) => sum + end - start, 0);
}

/** The pieces that hold the bytes from `start` up to `end` of all of them together. */
export function cutPieces(pieces: readonly Piece[], start: number, end: number): Piece[] {
  const cut: Piece[] = [];
  let before = 0;
  for (const piece of pieces) {
    const length = piece.end - piece.start;
    const from = Math.max(start - before, 0);
    const to = Math.min(end - before, length);
    if (from < to) cut.push({ key: piece.key, start: piece.start + from, end: piece.start + to });
    before += length;
  }
  return cut;
}

/** The bytes of the pieces, one after the other; one is open at a time. */
export async function* streamPieces(storage: Storage, pieces: readonly Piece[]): AsyncGenerator<Uint8Array> {
  for (const { key, start, end } of pieces) {
    const abort = new AbortController();
    try {
      const bytes = await storage.stream(key, { start, end }, abort.signal);
      if (bytes === null) throw new Error(`${key} is missing in storage`);
      yield* bytes;
    } finally {
      // Without it, a download that was given up before the first byte would leave the object open.
      abort.abort();
    }
  }
}
