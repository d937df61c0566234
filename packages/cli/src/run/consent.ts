import { createInterface } from 'node:readline/promises';
import { UserError } from '../client.ts';
import { EXIT } from '../exit-codes.ts';

export const nobodyToAsk = (): UserError =>
  new UserError('nobody can be asked here whether it may cost money: --yes says so', { exitCode: EXIT.usage });

/** Asks whether the money may be spent; anything but a yes is none. */
export async function isAgreed(question: string, signal: AbortSignal): Promise<boolean> {
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  // In the terminal's raw mode a Ctrl-C is a key, and no signal.
  lines.once('SIGINT', () => process.kill(process.pid, 'SIGINT'));
  try {
    const answer = await lines.question(`${question} [y/N] `, { signal });
    return /^\s*(?:y|yes)\s*$/i.test(answer);
  } catch (error) {
    signal.throwIfAborted();
    // Standard input ended.
    if ((error as Error).name === 'AbortError') return false;
    throw error;
  } finally {
    lines.close();
  }
}
