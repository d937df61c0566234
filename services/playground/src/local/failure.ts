import { Interrupted } from './stop-signals.ts';

/** Says in one line why a program ends, and with which exit code. */
export function reportFailure(error: unknown): number {
  if (error instanceof Interrupted) process.stderr.write('spillway: stopped before it was done\n');
  else process.stderr.write(`spillway: ${error instanceof Error ? error.message : String(error)}\n`);
  return 1;
}
