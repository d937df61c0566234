import type { Board } from './board.ts';
import type { Queues } from './queues.ts';

/** A closed gate: the tier's queue waits for its model server. */
export type ClosedGate = { readonly untilMs: number; readonly reason: string };

/** Closes a tier's gate for all its workers; what is in its queue waits, nothing fails. */
export async function closeGate(
  board: Board,
  queues: Queues,
  queue: string,
  waitMs: number,
  reason: string,
): Promise<void> {
  // Redis takes whole milliseconds only.
  const wholeMs = Math.max(1, Math.ceil(waitMs));
  const gate: ClosedGate = { untilMs: Date.now() + wholeMs, reason };
  await Promise.all([
    queues.of(queue).rateLimit(wholeMs),
    board.client.set(board.keys.gate(queue), JSON.stringify(gate), 'PX', wholeMs),
  ]);
}

/** The gate of a tier, or null while it is open. */
export async function readGate(board: Board, queue: string): Promise<ClosedGate | null> {
  const text = await board.client.get(board.keys.gate(queue));
  return text === null ? null : (JSON.parse(text) as ClosedGate);
}
