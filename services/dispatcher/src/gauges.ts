import type { Meters, Reading } from '@spillway/runtime';
import { heldReason, memoryUse, pagesInHand } from '@spillway/redis';
import type { Desk } from './desk.ts';
import { LiveBatches, type LiveBatch } from './live.ts';

/** Whether this dispatcher leads; only the leader tells of the work, so that nothing is counted twice. */
type Leading = { readonly leading: boolean };

/** Shows what is in work, asked of Redis whenever somebody asks. */
export function showGauges(meters: Meters, desk: Desk, state: Leading): void {
  const live = new LiveBatches(desk);
  const whileLeading = (read: () => Promise<Reading>) => async (): Promise<Reading> =>
    state.leading ? await read() : [];
  const ofBatches = (read: (batches: readonly LiveBatch[]) => Reading) =>
    whileLeading(async () => read(await live.read()));
  const ofTiers = (read: (tier: string) => Promise<Reading>) =>
    whileLeading(async () => (await Promise.all((await tiersInWork(desk, live)).map(read))).flat());

  meters.gauge('cascade.leader', () => [[state.leading ? 1 : 0, {}]]);
  meters.gauge(
    'cascade.queue.depth',
    ofTiers(async (queue) => {
      const { waiting, active, delayed } = await desk.queues.depth(queue);
      return Object.entries({ waiting, active, delayed }).map(([name, count]) => [count, { queue, state: name }]);
    }),
  );
  meters.gauge(
    'cascade.gate.closed',
    ofTiers(async (queue) => [[(await heldReason(desk.board, queue)) === null ? 0 : 1, { queue }]]),
  );
  meters.gauge(
    'cascade.batches',
    ofBatches((batches) =>
      (['validating', 'open', 'closed'] as const).map((phase) => [
        batches.filter((batch) => batch.phase === phase).length,
        { phase },
      ]),
    ),
  );
  meters.gauge(
    'cascade.unfed',
    ofBatches((batches) => {
      const open = batches.filter(({ phase }) => phase === 'open');
      return [[open.reduce((sum, { total, fed }) => sum + total - fed, 0), {}]];
    }),
  );
  meters.gauge(
    'cascade.window.used',
    ofBatches((batches) => {
      const now = Date.now();
      const shares = batches.map(({ createdAtMs, expiresAtMs }) => (now - createdAtMs) / (expiresAtMs - createdAtMs));
      return [[Math.max(0, ...shares), {}]];
    }),
  );
  meters.gauge(
    'cascade.in_hand',
    whileLeading(async () => [[(await pagesInHand(desk.board)).reduce((sum, { bytes }) => sum + bytes, 0), {}]]),
  );
  meters.gauge(
    'cascade.redis.memory',
    whileLeading(async () => [[(await memoryUse(desk.board)).usedBytes, {}]]),
  );
  meters.gauge(
    'cascade.redis.memory.limit',
    whileLeading(async () => [[(await memoryUse(desk.board)).maxBytes, {}]]),
  );
}

/** The queues that the batches in work can pass. */
async function tiersInWork(desk: Desk, live: LiveBatches): Promise<string[]> {
  const plans = await Promise.all((await live.read()).map(({ id }) => desk.records.plan(id).catch(() => null)));
  return [...new Set(plans.flatMap((plan) => plan?.tiers ?? []))].toSorted();
}
