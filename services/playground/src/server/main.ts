import { endProcessNow, exitCodeOf, MAX_STOP_MS, onStopSignals } from '@spillway/runtime';
import { readConfig } from './config.ts';
import { createLog } from './log.ts';
import { runPlayground } from './playground.ts';

const stop = new AbortController();
onStopSignals(['SIGTERM', 'SIGINT'], {
  onFirst: (name) => {
    stop.abort(name);
    setTimeout(() => endProcessNow(1), MAX_STOP_MS);
  },
  onSecond: (name) => endProcessNow(exitCodeOf(name)),
});

try {
  await runPlayground(readConfig(process.env), stop.signal);
} catch (error) {
  createLog('error')('error', 'failed', { error: error instanceof Error ? error.stack : String(error) });
  process.exitCode = 1;
}
// A thread that is still loading its weights would keep the process alive after a signal.
process.exit();
