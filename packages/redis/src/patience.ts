import { pause } from '@spillway/runtime';

/** Between two tries to write a result while Redis is away or recovering. */
const FIRST_MS = 50;
const MOST_MS = 2_000;

/**
 * Writes what must not be lost: keeps it and tries again while Redis is away or recovering. Ends without an answer only
 * when the process stops.
 */
export async function untilAnswered<Answer extends string>(
  write: () => Promise<Answer>,
  signal: AbortSignal,
): Promise<Exclude<Answer, 'RECOVERING'> | 'STOPPED'> {
  const stops = (): boolean => signal.aborted && signal.reason === 'shutdown';
  for (let waitMs = FIRST_MS; ; waitMs = Math.min(waitMs * 2, MOST_MS)) {
    const answer = await write().catch(() => 'RECOVERING' as Answer);
    if (answer !== 'RECOVERING') return answer as Exclude<Answer, 'RECOVERING'>;
    if (stops()) return 'STOPPED';
    await pause(waitMs, patient(signal));
  }
}

/** A batch that closes does not end the waiting: its result is still to be offered. */
function patient(signal: AbortSignal): AbortSignal {
  return signal.aborted ? new AbortController().signal : signal;
}
