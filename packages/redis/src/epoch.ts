import { infoOf, type Board } from './board.ts';
import { Script } from './script.ts';

const beginScript = new Script('begin_recovery');
const recoveredScript = new Script('recovered');

/** Longer than reading the records of a hundred thousand batches takes; a dead leader's token goes by itself. */
const RECOVERY_LIMIT_MS = 3_600_000;

/** A recovery going on; only the newest may restore and finish. */
export type Recovery = { readonly token: string; readonly runId: string };

/** Whether Redis lost its memory since the last recovery: then storage is read again before anything is written. */
export async function isRecovering(board: Board): Promise<boolean> {
  const [epoch, runId] = await Promise.all([board.client.get(board.keys.epoch), runIdOf(board)]);
  return epoch !== runId;
}

/** Begins a recovery; one that another dispatcher began can no longer write. */
export async function beginRecovery(board: Board, token: string): Promise<Recovery> {
  const runId = await runIdOf(board);
  await beginScript.run(board.client, [board.keys.recovery], [token, RECOVERY_LIMIT_MS]);
  return { token, runId };
}

/** Whether this recovery still is the one going on. */
export async function isCurrent(board: Board, recovery: Recovery): Promise<boolean> {
  return (await board.client.get(board.keys.recovery)) === recovery.token;
}

/** Ends a recovery; false when Redis was lost once more meanwhile, or another recovery took over. */
export async function finishRecovery(board: Board, recovery: Recovery): Promise<boolean> {
  const { keys, client } = board;
  const answer = await recoveredScript.run(client, [keys.recovery, keys.epoch], [recovery.token, recovery.runId]);
  return answer === 'RECOVERED';
}

/** Makes Redis count as lost: the next recovery reads storage again. What it holds stays in use. */
export async function distrust(board: Board): Promise<void> {
  await board.client.del(board.keys.epoch);
}

/** Redis' own id, new with every start of it. */
async function runIdOf(board: Board): Promise<string> {
  return (await infoOf(board, 'server')).get('run_id') ?? '';
}
