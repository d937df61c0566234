import { sampleIdOf, tierLabels } from '@spillway/core';
import { heldReason, memoryUse, pagesInFlight, type Queues, type RedisStore } from '@spillway/redis';
import type { Meters, Reading } from '@spillway/runtime';
import type { LiveBatch, LiveBatches } from './live-batches.ts';
import type { Outlines } from './outlines.ts';

/** Whether this dispatcher leads. Only the leader shows the work, so that nothing is counted twice. */
type Leading = { readonly isLeading: boolean };

export type GaugeOptions = {
  readonly redis: RedisStore;
  readonly queues: Queues;
  readonly live: LiveBatches;
  readonly outlines: Outlines;
  readonly meters: Meters;
};

/** Shows what is in work whenever somebody asks: the queues as they are now, the batches as the leader knows them. */
export function showGauges({ redis, queues, live, outlines, meters }: GaugeOptions, state: Leading): void {
  const whileLeading = (read: () => Promise<Reading>) => async (): Promise<Reading> =>
    state.isLeading ? await read() : [];
  const ofBatches = (read: (batches: readonly LiveBatch[]) => Reading) =>
    whileLeading(async () => {
      await live.refresh();
      return read(withoutSamples(live.all().toArray()));
    });
  const ofTiers = (read: (tier: string) => Promise<Reading>) =>
    whileLeading(async () => (await Promise.all([...outlines.tiers()].toSorted().map(read))).flat());

  meters.gauge('cascade.leader', () => [[state.isLeading ? 1 : 0, {}]]);
  meters.gauge(
    'cascade.queue.depth',
    ofTiers(async (tier) => {
      const { waiting, active, delayed } = await queues.depth(tier);
      const counts = Object.entries({ waiting, active, delayed });
      return counts.map(([name, count]) => [count, { ...tierLabels(tier), state: name }]);
    }),
  );
  meters.gauge(
    'cascade.breaker.open',
    ofTiers(async (tier) => [[(await heldReason(redis, tier)) === null ? 0 : 1, tierLabels(tier)]]),
  );
  meters.gauge('cascade.batches', ofBatches(batchesByPhase));
  meters.gauge('cascade.not_enqueued', ofBatches(notEnqueued));
  meters.gauge(
    'cascade.audit.alarms',
    ofBatches((all) => [[all.reduce((sum, { alarms }) => sum + alarms, 0), {}]]),
  );
  meters.gauge('cascade.window.used', ofBatches(windowUsed));
  meters.gauge(
    'cascade.pages.in_flight',
    whileLeading(async () => [[(await pagesInFlight(redis)).reduce((sum, { bytes }) => sum + bytes, 0), {}]]),
  );
  meters.gauge(
    'cascade.redis.memory',
    whileLeading(async () => [[(await memoryUse(redis)).usedBytes, {}]]),
  );
  meters.gauge(
    'cascade.redis.memory.limit',
    whileLeading(async () => [[(await memoryUse(redis)).maxBytes, {}]]),
  );
}

/** Nobody made a sample: its documents are those of its batch, which is opened once the sample has ended. */
function withoutSamples(batches: readonly LiveBatch[]): LiveBatch[] {
  const unopened = batches.filter(({ phase }) => phase !== 'open');
  const samples = new Set(unopened.map(({ id }) => sampleIdOf(id)));
  return batches.filter(({ id }) => !samples.has(id));
}

const batchesByPhase = (batches: readonly LiveBatch[]): Reading =>
  (['validating', 'open', 'closed'] as const).map((phase) => [
    batches.filter((batch) => batch.phase === phase).length,
    { phase },
  ]);

const notEnqueued = (batches: readonly LiveBatch[]): Reading => {
  const open = batches.filter(({ phase }) => phase === 'open');
  return [[open.reduce((sum, { total, enqueued }) => sum + total - enqueued, 0), {}]];
};

const windowUsed = (batches: readonly LiveBatch[]): Reading => {
  const now = Date.now();
  const shareOf = ({ createdAtMs, expiresAtMs }: LiveBatch): number =>
    (now - createdAtMs) / (expiresAtMs - createdAtMs);
  return [[batches.reduce((most, batch) => Math.max(most, shareOf(batch)), 0), {}]];
};
