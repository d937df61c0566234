import { after, type TestContext } from 'node:test';
import { System, type SystemOptions } from './system.ts';

/**
 * One system for the tests of a file that ask for nothing of their own: the first one starts it, and it ends after the
 * last. What its model servers were asked adds up over the tests.
 */
export function sharedSystem(start: () => Promise<System>): () => Promise<System> {
  let system: Promise<System> | null = null;
  after(async () => {
    await (await system?.catch(() => null))?.[Symbol.asyncDispose]();
  });
  return () => (system ??= start());
}

/** The same with an API and a dispatcher only: a test starts the workers that it needs, and they end with it. */
export function sharedWithoutWorkers(options: SystemOptions = {}): (t: TestContext) => Promise<System> {
  const shared = sharedSystem(async () => {
    const system = await System.create(options);
    await Promise.all([system.run('api'), system.run('dispatcher')]);
    await system.admitted();
    return system;
  });
  return async (t) => {
    const system = await shared();
    t.after(async () => {
      const workers = system.services.filter(({ name }) => name === 'drafter' || name === 'expert');
      await Promise.all(workers.map((worker) => worker.kill()));
    });
    return system;
  };
}
