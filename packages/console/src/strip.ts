import { Worker } from 'node:worker_threads';

/**
 * Takes the types out of TypeScript, as Node does when it runs it. What that needs is large and is needed once, so it is
 * done in a thread of its own, and goes with it.
 */
export async function stripTypes(sources: readonly string[]): Promise<readonly string[]> {
  const worker = new Worker(new URL('strip-worker.ts', import.meta.url), { workerData: sources });
  try {
    return await new Promise<readonly string[]>((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
      worker.once('exit', (code) => reject(new Error(`the types of the console were not stripped: exit code ${code}`)));
    });
  } finally {
    await worker.terminate();
  }
}
