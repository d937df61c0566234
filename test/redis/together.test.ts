import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Together } from '../../packages/redis/src/together.ts';

/** What is run, each run held until it is let go. */
function held() {
  const runs: { items: readonly string[]; end: (error?: Error) => void }[] = [];
  const run = async (items: readonly string[]): Promise<string[]> => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    runs.push({ items, end: (error) => (error === undefined ? resolve() : reject(error)) });
    await promise;
    return items.map((item) => item.toUpperCase());
  };
  return { runs, run };
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('what comes while something is under way goes together, and each has its own answer', async () => {
  const { runs, run } = held();
  const together = new Together({ run, groupOf: () => '', bytesOf: () => 1 });
  const first = together.ask('a');
  await settled();
  const rest = [together.ask('b'), together.ask('c')];
  await settled();
  assert.deepEqual(
    runs.map(({ items }) => items),
    [['a']],
  );
  runs[0]?.end();
  assert.equal(await first, 'A');
  await settled();
  runs[1]?.end();
  assert.deepEqual(await Promise.all(rest), ['B', 'C']);
  assert.deepEqual(runs[1]?.items, ['b', 'c']);
});

test('groups go beside each other; an error is of those that went together, and the next ones go on', async () => {
  const { runs, run } = held();
  const together = new Together({ run, groupOf: (item) => item.slice(0, 1), bytesOf: () => 1 });
  const [one, two, other] = [together.ask('a1'), together.ask('a2'), together.ask('b1')];
  await settled();
  const next = together.ask('a3');
  assert.deepEqual(
    runs.map(({ items }) => items),
    [['a1', 'a2'], ['b1']],
  );
  const failed = [assert.rejects(one, /lost/), assert.rejects(two, /lost/)];
  runs[0]?.end(new Error('lost'));
  await Promise.all(failed);
  runs[1]?.end();
  assert.equal(await other, 'B1');
  await settled();
  runs[2]?.end();
  assert.equal(await next, 'A3');
});

test('no more than 64 go together, nor more bytes than hold up Redis; what is larger goes by itself', async () => {
  const { runs, run } = held();
  const together = new Together({ run, groupOf: () => '', bytesOf: (item: string) => Number(item) * 1024 });
  const sizes = [1, 100, 200, 40, 300, ...Array.from({ length: 68 }, () => 1)];
  const all = sizes.map((size) => together.ask(`${size}`));
  for (let at = 0; at < 6; at += 1) {
    await settled();
    runs[at]?.end();
  }
  await Promise.all(all);
  assert.deepEqual(
    runs.map(({ items }) => items.map(Number)),
    [[1, 100], [200, 40], [300], sizes.slice(5, 69), sizes.slice(69)],
  );
});
