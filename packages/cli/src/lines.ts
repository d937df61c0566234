import { LIMITS, LineSplitter, type Line } from '@spillway/core';

/** The lines of a file that comes in pieces, blank ones left out. Not `node:readline`, which ends a line at U+2028, too. */
export async function* linesOf(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const splitter = new LineSplitter(LIMITS.lineBytesMax);
  for await (const piece of pieces) yield* textOf(splitter.push(piece));
  yield* textOf(splitter.end());
}

function* textOf(lines: Iterable<Line>): Generator<string> {
  for (const { bytes } of lines) {
    const text = bytes.toString();
    if (text.trim() !== '') yield text;
  }
}
