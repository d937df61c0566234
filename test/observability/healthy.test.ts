import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { checkAlerts, growing, lacksPrometheus, readAlertRules, still, type Scrape } from '../support/prometheus.ts';
import { metricsOf, scrape, valuesOf, withGaugesOf } from '../support/scrapes.ts';
import { System, until } from '../support/system.ts';

const run = promisify(execFile);

/** What only the leader shows: all of it is of the work. */
const OF_WORK = [
  'cascade_queue_depth',
  'cascade_breaker_open',
  'cascade_batches',
  'cascade_pages_in_flight_bytes',
  'cascade_not_enqueued',
  'cascade_window_used_ratio',
  'cascade_redis_memory_bytes',
  'cascade_redis_memory_limit_bytes',
];

/** Minutes of an hour at which nothing may fire. */
const HOUR = [5, 10, 20, 30, 45, 60];
const rest = Object.fromEntries(HOUR.map((minute) => [minute, []]));
const alerts = (await readAlertRules()).groups.flatMap(({ rules }) => rules.map(({ alert }) => alert));
/** How full the disk and how short the processor of the tests' machine is, is no matter of ours. */
const ofMachine = new Set(['SpillwayStorageNearlyFull', 'SpillwayLoopStandsStill']);
const among = new RegExp(alerts.filter((alert) => !ofMachine.has(alert)).join('|'));

const busyPrompts = [
  '[[hang]] a',
  ...Array.from({ length: 20 }, (_, index) => `accepted ${index}`),
  ...Array.from({ length: 9 }, (_, index) => `[[drafter unsure]] ${index}`),
];

test('gauges say what is now, and a healthy system rests: idle, busy, after its work, and under another leader', async (context) => {
  await using system = await System.start({ env: { HEALTH_PORT: '0' } });
  const { services } = system;
  const dispatcher = services.find(({ name }) => name === 'dispatcher');
  assert.ok(dispatcher !== undefined);
  await until(async () => valuesOf(await scrape([dispatcher]), 'cascade_leader')[''] === 1);
  const idle = await scrape(services);
  const inWork = (scraped: Scrape) => OF_WORK.map((metric) => valuesOf(scraped, metric));
  assert.deepEqual(inWork(idle).slice(0, 5), [{}, {}, { validating: 0, open: 0, closed: 0 }, { '': 0 }, { '': 0 }]);

  const { id } = await system.submit(busyPrompts);
  await system.settled(id, ({ request_counts: counts }) => counts?.completed === busyPrompts.length - 1);
  const busy = await scrape(services);
  const depth = (active: number) => ({
    'drafter.small,drafter,waiting': 0,
    'drafter.small,drafter,active': active,
    'drafter.small,drafter,delayed': 0,
    'expert.large,expert,waiting': 0,
    'expert.large,expert,active': 0,
    'expert.large,expert,delayed': 0,
  });
  const ofBusy = [
    depth(1),
    { 'drafter.small,drafter': 0, 'expert.large,expert': 0 },
    { validating: 0, open: 1, closed: 0 },
  ];
  assert.deepEqual(inWork(busy).slice(0, 3), ofBusy);
  assert.deepEqual(valuesOf(busy, 'cascade_in_flight'), { 'drafter.small,drafter': 1, 'expert.large,expert': 0 });
  assert.deepEqual(valuesOf(busy, 'cascade_batches_ended_total'), {
    completed: 0,
    failed: 0,
    expired: 0,
    cancelled: 0,
  });

  // Somebody else takes the lease: this dispatcher lives on, and says nothing of the work any more.
  await system.redis.client.set('{test}:lease', 'somebody else', 'PX', 60_000);
  await dispatcher.waitFor(({ msg }) => msg === 'standing by');
  const isLeader = async (): Promise<number | undefined> => valuesOf(await scrape([dispatcher]), 'cascade_leader')[''];
  await until(async () => (await isLeader()) === 0);
  const standby = await scrape([dispatcher]);
  assert.deepEqual(
    inWork(standby),
    OF_WORK.map(() => ({})),
  );
  await system.redis.client.del('{test}:lease');
  await until(async () => (await isLeader()) === 1);
  await until(
    async () => 'drafter.small,drafter,active' in valuesOf(await scrape([dispatcher]), 'cascade_queue_depth'),
  );
  assert.deepEqual(inWork(await scrape([dispatcher])).slice(0, 3), ofBusy, 'it leads again, and says all of it');

  system.drafterModel.release();
  await system.settled(id);
  // Of tiers without work there is nothing to say, as soon as the leader has let go of the batch.
  await until(async () => {
    const now = await scrape([dispatcher]);
    const depths = Object.keys(valuesOf(now, 'cascade_queue_depth'));
    return valuesOf(now, 'cascade_batches')['open'] === 0 && depths.length === 0;
  });
  const done = await scrape(services);
  assert.deepEqual(inWork(done).slice(0, 6), [
    {},
    {},
    { validating: 0, open: 0, closed: 0 },
    { '': 0 },
    { '': 0 },
    { '': 0 },
  ]);
  assert.deepEqual(valuesOf(done, 'cascade_in_flight'), { 'drafter.small,drafter': 0, 'expert.large,expert': 0 });
  assert.equal(valuesOf(done, 'cascade_batches_ended_total')['completed'], 1);

  const lacking = await lacksPrometheus();
  if (lacking !== null) return context.skip(lacking);
  const batchAMinute = growing(idle, withGaugesOf(done, busy), 61);
  const sums = batchAMinute.at(-1) ?? done;
  const over = withGaugesOf(sums, done);
  // As another pod shows it that took over, while the first one lives and stands by.
  const own = `instance="${dispatcher.child.pid}"`;
  const ofDispatcher = [...done].filter(([series]) => series.includes(own));
  const successor = ofDispatcher.map(([series, value]) => [series.replace(own, 'instance="other"'), value] as const);
  const under = new Map([...over].filter(([series]) => !series.includes(own)));
  const twoDispatchers = new Map([...under, ...successor, ...withGaugesOf(sums, standby)]);
  const after = { among, firing: { ...rest, 75: [], 90: [], 105: [], 120: [] } };
  await checkAlerts([
    { name: 'idle', history: still(idle, 61), firing: rest, among },
    { name: 'busy', history: batchAMinute, firing: rest, among },
    {
      name: 'after the work',
      history: [...batchAMinute, ...still(over, 60)],
      ...after,
    },
    { name: 'under another leader', history: [...batchAMinute, ...still(twoDispatchers, 60)], ...after },
  ]);
  for (const service of services) await readsLint(await metricsOf(service));
});

/** promtool reads all of it; what it has to say of names is about those of others only. */
async function readsLint(text: string): Promise<void> {
  const checked = run('promtool', ['check', 'metrics']);
  checked.child.stdin?.end(text);
  const said = await checked.then(
    ({ stdout, stderr }) => stdout + stderr,
    (error: { stdout?: string; stderr?: string }) => `${error.stdout ?? ''}${error.stderr ?? ''}`,
  );
  assert.equal(said, '');
}
