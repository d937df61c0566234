import { isMainThread } from 'node:worker_threads';

/**
 * Loaded before a process that `startProcess` starts: ends it when its parent is gone, also when the parent was killed
 * and could say nothing. The channel to the parent shows it, because the kernel closes it with the parent. At once and
 * not by SIGTERM: nobody reads its log any more, in which stopping may get stuck, and it must survive a kill anyway.
 */
function followParent(): void {
  process.once('disconnect', () => process.kill(process.pid, 'SIGKILL'));
  // Listening must not keep alive a process that has nothing more to do.
  process.channel?.unref();
}

// Threads of the process load this file too, and have no parent process of their own.
if (isMainThread && process.channel !== undefined) followParent();
