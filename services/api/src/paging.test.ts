import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Storage } from '@spillway/storage';
import fc from 'fast-check';
import { walkKeys } from '@spillway/storage';
import { collectPage, idOfKey, keysUp, type ListPage } from './paging.ts';

/** Only what listing needs. */
function folderOf(keys: readonly string[]): Storage {
  const sorted = keys.toSorted();
  const list: Storage['list'] = async (_folder, { after = '', limit }) =>
    sorted.filter((key) => key > after).slice(0, limit);
  return { list } as Storage;
}

const keyOf = (number: number): string => `t/${String(number).padStart(6, '0')}.id${number}`;
const itemOf = async (key: string) => ({ id: idOfKey(key) });

async function all(keys: AsyncIterable<readonly string[]>): Promise<string[]> {
  const found: string[] = [];
  for await (const run of keys) found.push(...run);
  return found;
}

test('an id is what stands behind the time, whatever the tenant is called', () => {
  assert.equal(idOfKey('tenants/a.b/files/8638204551478877.file-1f'), 'file-1f');
});

test('keys go down and up, from any place, across runs and windows', async () => {
  const keys = Array.from({ length: 21_500 }, (_, index) => keyOf(index));
  const storage = folderOf(keys);
  assert.deepEqual(await all(walkKeys(storage, 't/', null)), keys);
  assert.deepEqual(await all(keysUp(storage, 't/', null)), keys.toReversed());
  assert.deepEqual(await all(walkKeys(storage, 't/', keyOf(21_490))), keys.slice(21_491));
  assert.deepEqual(await all(keysUp(storage, 't/', keyOf(12_345))), keys.slice(0, 12_345).toReversed());
  assert.deepEqual(await all(keysUp(storage, 't/', keyOf(0))), []);
  assert.deepEqual(await all(walkKeys(folderOf([]), 't/', null)), []);
});

test('pages put together are the list, whatever is missing in it', async () => {
  const scenario = fc.record({
    present: fc.array(fc.boolean(), { maxLength: 120 }),
    limit: fc.integer({ min: 1, max: 50 }),
  });
  await fc.assert(
    fc.asyncProperty(scenario, async ({ present, limit }) => {
      const storage = folderOf(present.map((_, index) => keyOf(index)));
      const missing = new Set(present.flatMap((there, index) => (there ? [] : [keyOf(index)])));
      const read = async (key: string) => (missing.has(key) ? null : itemOf(key));
      const seen: string[] = [];
      for (let after: string | null = null, more = true; more;) {
        const page: ListPage<{ id: string }> = await collectPage(walkKeys(storage, 't/', after), limit, read);
        assert.ok(page.data.length > 0 || !page.has_more, 'an empty page promises more');
        assert.ok(page.data.length <= limit);
        assert.equal(page.first_id, page.data[0]?.id ?? null);
        assert.equal(page.last_id, page.data.at(-1)?.id ?? null);
        seen.push(...page.data.map(({ id }) => id));
        after = page.last_id === null ? null : keyOf(Number(page.last_id.slice(2)));
        more = page.has_more;
      }
      assert.deepEqual(
        seen,
        present.flatMap((there, index) => (there ? [`id${index}`] : [])),
      );
    }),
  );
});

test('a limit of nothing reads nothing', async () => {
  const page: ListPage<{ id: string }> = await collectPage(walkKeys(folderOf([keyOf(1)]), 't/', null), 0, () =>
    assert.fail('was read'),
  );
  assert.deepEqual(page, { object: 'list', data: [], first_id: null, last_id: null, has_more: false });
});
