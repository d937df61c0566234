/**
 * What a process of a test gets of the environment of the tests, and no more: the compile cache halves what a process
 * takes to start.
 */
export function plainEnv(): Readonly<Record<string, string>> {
  const { PATH = '', HOME = '', NODE_COMPILE_CACHE = '' } = process.env;
  return { PATH, HOME, NODE_COMPILE_CACHE };
}
