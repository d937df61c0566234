import type { Storage } from './storage.ts';

/** Keys are listed by this many: a directory reads its whole folder for each listing. */
const KEYS_AT_A_TIME = 1_000;

/** The keys of a folder, in runs, in the order in which storage lists them, beginning behind `after`. */
export async function* walkKeys(
  storage: Storage,
  folder: string,
  after: string | null = null,
  atATime = KEYS_AT_A_TIME,
): AsyncGenerator<readonly string[]> {
  for (let last = after; ;) {
    const keys = await storage.list(folder, { limit: atATime, ...(last === null ? {} : { after: last }) });
    if (keys.length > 0) yield keys;
    if (keys.length < atATime) return;
    last = keys.at(-1) ?? null;
  }
}
