import type { Board } from './board.ts';
import { Script } from './script.ts';

const renewScript = new Script('renew');
const releaseScript = new Script('release');

/** Takes or keeps the lease for `leaseMs`; true when this token holds it. Economy only: correctness does not rest on it. */
export async function renewLease(board: Board, token: string, leaseMs: number): Promise<boolean> {
  return (await renewScript.run(board.client, [board.keys.lease], [token, leaseMs])) === 1;
}

export async function releaseLease(board: Board, token: string): Promise<void> {
  await releaseScript.run(board.client, [board.keys.lease], [token]);
}
