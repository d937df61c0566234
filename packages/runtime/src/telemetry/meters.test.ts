import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { processName } from '../process-name.ts';
import { VERSION } from '../version.ts';
import { Meters, type Reading } from './meters.ts';

/** Holds the event loop up. */
function hold(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

async function delayOf(meters: Meters): Promise<number> {
  const [, value = ''] = /^nodejs_eventloop_delay_max_seconds (\S+)$/m.exec(await meters.text()) ?? [];
  return Number(value);
}

/** The samples of one metric, without what only describes it. */
const samplesOf = (text: string, metric: string): string[] =>
  text.split('\n').filter((line) => line.startsWith(`${metric}{`) || line.startsWith(`${metric} `));

test('what holds the event loop up is measured, once for whoever asks first', async () => {
  await using meters = new Meters('test');
  hold(50);
  meters.watchLoop();
  // The first period begins with the first ring of the timer.
  await delay(50);
  hold(300);
  await delay(50);
  const longest = await delayOf(meters);
  assert.ok(longest >= 0.28, `${longest} s`);
  await delay(50);
  assert.ok((await delayOf(meters)) < longest);
});

test('a gauge shows what is now: what is not observed any more vanishes, and comes back', async () => {
  await using meters = new Meters('test');
  let now: Reading = [];
  meters.gauge('cascade.queue.depth', () => now);
  const shown = async (): Promise<string[]> => samplesOf(await meters.text(), 'cascade_queue_depth');
  assert.deepEqual(await shown(), []);
  now = [
    [3, { tier: 'drafter.a' }],
    [5, { tier: 'expert.b' }],
  ];
  assert.deepEqual(await shown(), [
    'cascade_queue_depth{tier="drafter.a"} 3',
    'cascade_queue_depth{tier="expert.b"} 5',
  ]);
  assert.deepEqual(await shown(), [
    'cascade_queue_depth{tier="drafter.a"} 3',
    'cascade_queue_depth{tier="expert.b"} 5',
  ]);
  now = [[4, { tier: 'expert.b' }]];
  assert.deepEqual(await shown(), ['cascade_queue_depth{tier="expert.b"} 4']);
  now = [];
  assert.deepEqual(await shown(), []);
  assert.doesNotMatch(await meters.text(), /cascade_queue_depth/, 'not even a description is left');
  now = [[0, { tier: 'drafter.a' }]];
  assert.deepEqual(await shown(), ['cascade_queue_depth{tier="drafter.a"} 0']);
});

test('a gauge whose reading fails shows nothing, and the others stay', async () => {
  await using meters = new Meters('test');
  let fails = false;
  meters.gauge('cascade.redis.memory', async () => {
    if (fails) throw new Error('Redis is away');
    return [[7, {}]];
  });
  meters.gauge('cascade.leader', () => [[1, {}]]);
  assert.deepEqual(samplesOf(await meters.text(), 'cascade_redis_memory_bytes'), ['cascade_redis_memory_bytes 7']);
  fails = true;
  const text = await meters.text();
  assert.deepEqual(samplesOf(text, 'cascade_redis_memory_bytes'), []);
  assert.deepEqual(samplesOf(text, 'cascade_leader'), ['cascade_leader 1']);
});

test('several that ask at once all see every gauge', async () => {
  await using meters = new Meters('test');
  meters.gauge('cascade.leader', async () => {
    await delay(5);
    return [[1, {}]];
  });
  const texts = await Promise.all(Array.from({ length: 5 }, () => meters.text()));
  for (const text of texts) assert.deepEqual(samplesOf(text, 'cascade_leader'), ['cascade_leader 1']);
});

test('counters and histograms go on from reading to reading, and begin at 0 where that is asked for', async () => {
  await using meters = new Meters('test');
  meters.begin('cascade.batches.ended', [{ outcome: 'completed' }, { outcome: 'failed' }]);
  meters.begin('cascade.recoveries');
  const ended = async (): Promise<string[]> => samplesOf(await meters.text(), 'cascade_batches_ended_total');
  assert.deepEqual(await ended(), [
    'cascade_batches_ended_total{outcome="completed"} 0',
    'cascade_batches_ended_total{outcome="failed"} 0',
  ]);
  meters.count('cascade.batches.ended', 2, { outcome: 'failed' });
  assert.equal((await ended())[1], 'cascade_batches_ended_total{outcome="failed"} 2');
  meters.count('cascade.batches.ended', 1, { outcome: 'failed' });
  meters.begin('cascade.batches.ended', [{ outcome: 'failed' }]);
  assert.equal((await ended())[1], 'cascade_batches_ended_total{outcome="failed"} 3');
  assert.deepEqual(samplesOf(await meters.text(), 'cascade_recoveries_total'), ['cascade_recoveries_total 0']);
  meters.beginTimes('cascade.document.duration', [{}]);
  assert.match(await meters.text(), /^cascade_document_duration_seconds_count 0$/m);
  for (const seconds of [0.0015, 3]) meters.time('cascade.document.duration', seconds, {});
  await meters.text();
  meters.time('cascade.document.duration', 90_000, {});
  assert.match(await meters.text(), /^cascade_document_duration_seconds_count 3$/m);
});

test('histograms tell times from a millisecond to a day apart, by three bounds a decade at least', async () => {
  await using meters = new Meters('test');
  meters.time('cascade.sequential_wait', 0, {});
  const bounds = [...(await meters.text()).matchAll(/^cascade_sequential_wait_seconds_bucket\{le="([\d.]+)"\}/gm)].map(
    ([, bound]) => Number(bound),
  );
  assert.deepEqual([bounds[0], bounds.at(-1)], [0.001, 86_400]);
  for (let from = 0.001; from < 86_400; from *= 10) {
    // A hair less, as 0.001 cannot be written down exactly.
    const within = bounds.filter((bound) => bound > from * 0.999 && bound < from * 9.99);
    assert.ok(within.length >= 3, `from ${from}: ${within.join(', ')}`);
  }
});

test('a process says what it is: by name as its traces do, and by version', async () => {
  await using meters = new Meters('drafter');
  const text = await meters.text();
  assert.deepEqual(samplesOf(text, 'target_info'), [
    `target_info{service_name="spillway-drafter",service_version="${VERSION}",service_instance_id="${processName()}"} 1`,
  ]);
  assert.deepEqual(samplesOf(text, 'spillway_build_info'), [
    `spillway_build_info{service="drafter",version="${VERSION}",node="${process.version}"} 1`,
  ]);
});

test('a configuration of many cascades has all its label sets', async () => {
  await using meters = new Meters('test');
  const labels = Array.from({ length: 5_000 }, (_, at) => ({ cascade: `c${at}` }));
  meters.begin('cascade.escalations', labels);
  const text = await meters.text();
  assert.equal(samplesOf(text, 'cascade_escalations_total').length, 5_000);
  assert.doesNotMatch(text, /overflow/);
});
