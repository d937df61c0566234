import { backoffMs, type Backoff } from '@spillway/core';
import { pause } from '@spillway/runtime';
import { isAway } from './outage.ts';

/** Between two attempts to write a result while Redis is away or recovering. */
const BACKOFF: Backoff = { firstMs: 100, maxMs: 2_000 };

/** What a Redis that is there says when it cannot take a write now, and will be able to. */
const PASSING = /^(BUSY|NOREPLICAS|MISCONF|OOM|UNBLOCKED)\b/;

/**
 * Writes what must not be lost: keeps it and writes again while Redis is away or recovering. Ends without an answer only
 * when `stopping` is aborted: then the process must end. An error that will not pass is thrown.
 */
export async function untilRecovered<Answer extends string>(
  write: () => Promise<Answer>,
  stopping: AbortSignal,
): Promise<Exclude<Answer, 'RECOVERING'> | 'STOPPED'> {
  for (let failures = 1; ; failures += 1) {
    const answer = await write().catch((error: unknown) => {
      if (passes(error)) return 'RECOVERING' as Answer;
      throw error;
    });
    if (answer !== 'RECOVERING') return answer as Exclude<Answer, 'RECOVERING'>;
    if (stopping.aborted) return 'STOPPED';
    await pause(backoffMs(failures, Math.random(), BACKOFF), stopping);
  }
}

/** Whether an error is about the connection to Redis or its state. Any other would be the same the next time. */
function passes(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (isAway(error)) return true;
  if (error.name === 'ReplyError') return PASSING.test(error.message);
  return typeof (error as NodeJS.ErrnoException).code === 'string';
}
