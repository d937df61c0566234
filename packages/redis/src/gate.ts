import { gateWaitsMs, type GateCall } from '@spillway/core';
import type { Board } from './board.ts';
import { Script } from './script.ts';

const closeScript = new Script('gate_close');
const openScript = new Script('gate_open');
const leaveScript = new Script('gate_leave');

/** A gate that nobody tries for so long, as nothing waits for it, is open again: what it says is old. */
export const KEPT_CLOSED_MS = 600_000;

/** Longer than any call: what a call says that began before the gate opened is of the past. */
const KEPT_OPENED_MS = 86_400_000;

/** How long a call that tries a server may take before another one tries it too. */
export const TRY_MS = 10_000;

/** What became of a verdict that closes a gate. */
export type GateClosing = {
  /** Until the server may be tried; 0: the gate stays open, as the verdict is of the past. */
  readonly waitMs: number;
  /** The number of this closing in a row; 0: one of the calls that were under way together closed it already. */
  readonly closings: number;
};

/** Closes a tier's gate for all its workers; what is in its queue waits, nothing fails. `ageMs`: since the call began. */
export async function closeGate(
  board: Board,
  queue: string,
  { reason, toldMs }: Pick<GateCall, 'reason' | 'toldMs'>,
  ageMs: number,
): Promise<GateClosing> {
  const told = toldMs === null ? '' : Math.ceil(toldMs);
  const args = [reason, Math.round(ageMs), told, KEPT_CLOSED_MS, ...gateWaitsMs(Math.random())];
  const [waitMs, closings] = (await closeScript.run(board.client, [board.keys.gate(queue)], args)) as [number, number];
  return { waitMs, closings };
}

/** A call was answered: all may ask again. WAIT: the server asked to be left alone for longer. */
export async function openGate(board: Board, queue: string): Promise<'OPENED' | 'OPEN' | 'WAIT'> {
  const answer = await openScript.run(board.client, [board.keys.gate(queue)], [KEPT_OPENED_MS]);
  return answer as 'OPENED' | 'OPEN' | 'WAIT';
}

/** A call that was to try the server `untilMs` was given up, or says nothing of the server: another one may. */
export async function leaveTry(board: Board, queue: string, untilMs: number): Promise<void> {
  await leaveScript.run(board.client, [board.keys.gate(queue)], [untilMs]);
}

/** Why a tier's gate is closed; null: it is open. It is closed until a call was answered. */
export async function readGate(board: Board, queue: string): Promise<string | null> {
  return await board.client.hget(board.keys.gate(queue), 'reason');
}
