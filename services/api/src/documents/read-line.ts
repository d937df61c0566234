import { LIMITS, type ResultLine } from '@spillway/core';
import { readJson } from '@spillway/runtime';

/** What stands around an answer in its line, in levels and in values. */
const AROUND = { depth: 8, values: 100_000 } as const;

const LINE_LIMITS = {
  depth: LIMITS.jsonDepth + AROUND.depth,
  values: LIMITS.answerValues + AROUND.values,
} as const;

/** A line that this service wrote, however long, without holding the event loop. */
export async function readLine(bytes: Buffer): Promise<ResultLine> {
  const read = await readJson(bytes.toString(), LINE_LIMITS);
  if (read.kind !== 'json') throw new Error(`a result line cannot be read: ${read.kind}`);
  return read.value as unknown as ResultLine;
}
