import { LIMITS, writeTimes, type DocumentJob, type Result, type UnaskedResult } from '@spillway/core';
import type { RedisStore } from './store.ts';
import { pageMember } from './keys.ts';
import { Script } from './script.ts';

/** What became of a result. RECOVERING: keep it and settle it again. */
export type Settled = 'WROTE' | 'ALREADY' | 'CLOSED' | 'RECOVERING';

const script = new Script('settle', 'said');

/** Which document a result is of. */
export type DocumentPlace = Pick<DocumentJob, 'batch' | 'page' | 'place'>;

/** ★ The only way a document gets its result: exactly one is recorded, the first. */
export async function settle(
  redis: RedisStore,
  where: DocumentPlace,
  result: Result | UnaskedResult,
): Promise<Settled> {
  const { keys, client } = redis;
  const counts = Object.entries(result.counts).flatMap(([name, count = 0]) => (count === 0 ? [] : [name, count]));
  const said = Object.entries(result.said ?? {});
  return (await script.run(
    client,
    [
      keys.epoch,
      keys.batch(where.batch),
      keys.sealed(where.batch),
      keys.page(where.batch, where.page),
      keys.inFlight,
      keys.full,
      keys.times(where.batch, where.page),
    ],
    [
      where.page,
      where.place,
      encodeResult(result),
      pageMember(where.batch, where.page),
      keys.wake,
      'times' in result ? writeTimes(result) : '',
      LIMITS.saidTexts,
      said.length,
      ...said.flat(),
      ...counts,
    ],
  )) as Settled;
}

/** A result as its page's field: the part's first letter, then the line. */
function encodeResult(result: UnaskedResult): string {
  return `${result.line.part === 'output' ? 'o' : 'e'}${result.line.text}`;
}

export function decodeResult(text: string): Result['line'] {
  return { part: text.startsWith('o') ? 'output' : 'error', text: text.slice(1) };
}
