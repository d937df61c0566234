import { mapConcurrent } from '@spillway/runtime';
import { walkKeys, type Storage } from '@spillway/storage';

/** A listing of the oldest first passes over all newer keys; each pass yields at most so many. */
const MAX_WINDOW_KEYS = 10_000;

const MAX_CONCURRENT_READS = 32;

/** The keys of a folder from the end, beginning before `before`; storage lists in one direction only. */
export async function* keysUp(storage: Storage, folder: string, before: string | null): AsyncGenerator<string[]> {
  for (let end = before; ;) {
    let window: string[] = [];
    for await (const keys of walkKeys(storage, folder)) {
      const bound = end;
      const wanted = bound === null ? keys : keys.filter((key) => key < bound);
      window = [...window, ...wanted].slice(-MAX_WINDOW_KEYS);
      if (wanted.length < keys.length) break;
    }
    if (window.length > 0) yield window.toReversed();
    if (window.length < MAX_WINDOW_KEYS) return;
    end = window[0] ?? null;
  }
}

/** A page of a list, with what the SDKs need to ask for the next one. */
export type ListPage<Item> = {
  readonly object: 'list';
  readonly data: Item[];
  readonly first_id: string | null;
  readonly last_id: string | null;
  readonly has_more: boolean;
};

/**
 * The first `limit` items that the keys lead to. `read` answers null for a key that leads nowhere. One more item than
 * asked for is looked for, so that `has_more` never promises an empty page.
 */
export async function collectPage<Item extends { readonly id: string }>(
  keys: AsyncIterable<readonly string[]>,
  limit: number,
  read: (key: string) => Promise<Item | null>,
): Promise<ListPage<Item>> {
  const found = limit === 0 ? [] : await firstFound(keys, limit + 1, read);
  const data = found.slice(0, limit);
  return {
    object: 'list',
    data,
    first_id: data[0]?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
    has_more: found.length > limit,
  };
}

async function firstFound<Item>(
  keys: AsyncIterable<readonly string[]>,
  wanted: number,
  read: (key: string) => Promise<Item | null>,
): Promise<Item[]> {
  const found: Item[] = [];
  for await (const run of keys) {
    for (let at = 0; at < run.length && found.length < wanted;) {
      const some = run.slice(at, at + wanted - found.length);
      found.push(...(await mapConcurrent(some, MAX_CONCURRENT_READS, read)).filter((item) => item !== null));
      at += some.length;
    }
    if (found.length >= wanted) break;
  }
  return found;
}

/** The id at the end of an index key: behind the time, which ends with a dot. */
export function idOfKey(key: string): string {
  return key.slice(key.lastIndexOf('.') + 1);
}
