import { readConfig } from './config.ts';
import { createLog } from './log.ts';
import { runPlayground } from './playground.ts';

const stop = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop.abort(signal));

try {
  await runPlayground(readConfig(process.env), stop.signal);
} catch (error) {
  createLog('error')('error', 'failed', { error: error instanceof Error ? error.stack : String(error) });
  process.exitCode = 1;
}
// A thread that is still loading its weights would keep the process alive after a signal.
process.exit();
