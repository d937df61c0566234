import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mapConcurrent } from './map-concurrent.ts';

const later = (): Promise<void> => new Promise(setImmediate);

test('results are in the order of the items, and no more than the limit are under way', async () => {
  let underWay = 0;
  let most = 0;
  const results = await mapConcurrent(new Set([5, 1, 4, 2, 3, 0]), 3, async (item, index) => {
    most = Math.max(most, (underWay += 1));
    for (let wait = 0; wait < item; wait += 1) await later();
    underWay -= 1;
    return [index, item * 10];
  });
  assert.deepEqual(
    results,
    [5, 1, 4, 2, 3, 0].map((item, index) => [index, item * 10]),
  );
  assert.equal(most, 3);
  assert.deepEqual(await mapConcurrent([], 3, later), []);
});

test('after a failure nothing is begun, what is under way is waited for, and the first error is thrown', async () => {
  const begun: number[] = [];
  const ended: number[] = [];
  const mapping = mapConcurrent([0, 1, 2, 3, 4], 2, async (item) => {
    begun.push(item);
    if (item === 0) throw new Error('the first');
    await later();
    ended.push(item);
    throw new Error('a later one');
  });
  await assert.rejects(mapping, /the first/);
  assert.deepEqual([begun, ended], [[0, 1], [1]]);
});
