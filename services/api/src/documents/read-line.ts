import { LINE_LIMITS, type ResultLine } from '@spillway/core';
import { readJson } from '@spillway/runtime';

/** A line that this service wrote, however long, without holding the event loop. */
export async function readLine(bytes: Buffer): Promise<ResultLine> {
  const read = await readJson(bytes.toString(), LINE_LIMITS);
  if (read.kind !== 'json') throw new Error(`a result line cannot be read: ${read.kind}`);
  return read.value as unknown as ResultLine;
}
