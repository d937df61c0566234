import { pause } from '@spillway/runtime';

/** Between two tries to write a result while Redis is away or recovering. */
const FIRST_MS = 50;
const MOST_MS = 2_000;

/** What Redis says when it cannot take a write now, and will be able to. */
const PASSING = /^(LOADING|READONLY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|BUSY|NOREPLICAS|MISCONF|OOM|UNBLOCKED)\b/;

/**
 * Writes what must not be lost: keeps it and tries again while Redis is away or recovering. Ends without an answer only
 * when `stopping` is aborted: then the process must end. An error that will not pass is thrown.
 */
export async function untilAnswered<Answer extends string>(
  write: () => Promise<Answer>,
  stopping: AbortSignal,
): Promise<Exclude<Answer, 'RECOVERING'> | 'STOPPED'> {
  for (let waitMs = FIRST_MS; ; waitMs = Math.min(waitMs * 2, MOST_MS)) {
    const answer = await write().catch((error: unknown) => {
      if (passes(error)) return 'RECOVERING' as Answer;
      throw error;
    });
    if (answer !== 'RECOVERING') return answer as Exclude<Answer, 'RECOVERING'>;
    if (stopping.aborted) return 'STOPPED';
    await pause(waitMs, stopping);
  }
}

/** Whether an error is about the connection to Redis or its state, and not about what was asked. */
function passes(error: unknown): boolean {
  if (!(error instanceof Error) || error instanceof TypeError || error instanceof RangeError) return false;
  return error.name !== 'ReplyError' || PASSING.test(error.message);
}
