import { constants } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';

/** Operations that threads of the process do, which Node waits for at its end. */
const ON_THREADS = /^(FSReq|FileHandle|FILEHANDLE|GetAddrInfo|GetNameInfo)/;

/** How long operations that are under way may still take; on a healthy file system they take no second. */
const MAX_OPERATIONS_MS = 3_000;

const LOOK_MS = 20;

const hasOperations = (): boolean => process.getActiveResourcesInfo().some((name) => ON_THREADS.test(name));

/** Ends this process once what its threads do is done, or without that: a file system that hangs never answers. */
export async function endProcess(exitCode: number): Promise<void> {
  const limitMs = performance.now() + MAX_OPERATIONS_MS;
  while (hasOperations() && performance.now() < limitMs) await delay(LOOK_MS);
  endProcessNow(exitCode);
}

/** Ends this process at once. The exit code is the one asked for, unless a thread hangs: then it ends as if killed. */
export function endProcessNow(exitCode: number): void {
  if (!hasOperations()) process.exit(exitCode);
  process.kill(process.pid, 'SIGKILL');
  // The first process of a container cannot kill itself.
  process.abort();
}

/** What shells say of a process that ended by a signal. */
export const exitCodeOf = (name: NodeJS.Signals): number => 128 + constants.signals[name];
