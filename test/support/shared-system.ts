import { after } from 'node:test';
import type { System } from './system.ts';

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
