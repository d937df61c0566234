import { spawn } from 'node:child_process';

/** Redis writes out what it has in well under a second; one that takes longer than this hangs. */
const MAX_STOP_MS = 8_000;

/**
 * Runs a program that is not ours (`guard.ts <name> <binary> <arguments…>`) and ends it when this process is asked to
 * stop or its parent is gone. `name` is what the program sees as its own name.
 */
function guard(name: string, binary: string, args: readonly string[]): void {
  const child = spawn(binary, args, { argv0: name, stdio: ['ignore', 'inherit', 'inherit'] });
  const stop = (): void => {
    child.kill('SIGTERM');
    setTimeout(() => child.kill('SIGKILL'), MAX_STOP_MS).unref();
  };
  // In place of the tether's own way: the program must be ended first, and Redis may write out what it has.
  process.removeAllListeners('disconnect');
  process.once('disconnect', stop);
  process.channel?.unref();
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  child.once('error', (error) => {
    process.stderr.write(`spillway ${name}: cannot run ${binary}: ${error.message}\n`);
    process.exit(1);
  });
  child.once('exit', (code, signal) => process.exit(code ?? (signal === 'SIGTERM' ? 0 : 1)));
}

const [name = '', binary = '', ...args] = process.argv.slice(2);
guard(name, binary, args);
