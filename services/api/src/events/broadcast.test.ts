import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Broadcast, type Shown } from './broadcast.ts';

const never = new AbortController().signal;
const none = (): void => undefined;

test('all watchers share one reading, and each is told what changed, and of late ones what there is', async () => {
  let reads = 0;
  let idle = 0;
  const read = async (): Promise<Shown> => {
    reads += 1;
    return new Map([
      ['a', 'a stays'],
      ['b', `b ${reads}`],
    ]);
  };
  const broadcast = new Broadcast({ read, onIdle: () => (idle += 1) });
  const watchers = Array.from({ length: 100 }, () => broadcast.watch(never));
  const first = await Promise.all(watchers.map(async (one) => [await one.next(), await one.next()]));
  assert.deepEqual(new Set(first.map((both) => both.map(({ value }) => value).join())), new Set(['a stays,b 1']));
  const beganMs = performance.now();
  const second = await Promise.all(watchers.map((one) => one.next()));
  assert.deepEqual(new Set(second.map(({ value }) => value)), new Set(['b 2']));
  assert.ok(performance.now() - beganMs > 500, 'once a second');
  const late = broadcast.watch(never);
  const told = [(await late.next()).value, (await late.next()).value];
  assert.ok(told[0] === 'a stays' && /^b \d$/.test(String(told[1])), String(told));
  // On a busy machine another second may be over.
  assert.ok(reads < 10, `${reads} readings for 101 watchers`);
  for (const one of [...watchers, late]) {
    assert.equal(idle, 0);
    await one.return(undefined);
  }
  assert.equal(idle, 1);
});

test('a watcher that reads slowly misses what was in between, and is told of the latest', async () => {
  let reads = 0;
  const three = Promise.withResolvers<void>();
  const read = async (): Promise<Shown> => {
    reads += 1;
    if (reads === 3) three.resolve();
    return new Map([['a', `${Math.min(reads, 3)}`]]);
  };
  const broadcast = new Broadcast({ read, onIdle: none });
  const slow = broadcast.watch(never);
  assert.equal((await slow.next()).value, '1');
  await three.promise;
  assert.equal((await slow.next()).value, '3');
  await slow.return(undefined);
});

test('what cannot be read ends the watching with its error; a signal ends it without one', async () => {
  const broken = new Broadcast({ read: () => Promise.reject(new Error('no')), onIdle: none });
  await assert.rejects(broken.watch(never).next(), /no/);
  const stop = new AbortController();
  const broadcast = new Broadcast({ read: async () => new Map([['a', 'a']]), onIdle: none });
  const watching = broadcast.watch(stop.signal);
  await watching.next();
  const end = watching.next();
  stop.abort();
  assert.equal((await end).done, true);
  assert.equal((await broadcast.watch(stop.signal).next()).done, true);
});
