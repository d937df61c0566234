import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import type { Service, ServiceName } from '../support/service.ts';
import { System, until } from '../support/system.ts';
import { quantile } from './figure.ts';
import { report } from './processes.ts';
import { PRODUCTION, settledOf, submitMany } from './service.ts';

/**
 * How long documents stand still after something died, with the intervals of production: each kind of process killed
 * and started again at once, Redis away for some seconds, Redis wiped with many documents open.
 *
 *     node test/bench/recovery.ts [rounds] [seconds without Redis] [documents open at the wipe]
 */
const [ROUNDS = 3, AWAY_S = 30, OPEN = 1_000_000] = process.argv.slice(2).map(Number);

/** Work for longer than a round takes: 160 documents a second. */
const STEADY = { drafter: { record: false, latencyMs: 100 }, expert: { record: false, latencyMs: 100 } };
const STEADY_DOCUMENTS = 100_000;
const IN_FLIGHT = 8;
const LOOK_MS = 20;
const MAX_MS = 600_000;

async function submit(system: System, documents: number): Promise<string> {
  const id = await submitMany(system, documents);
  await system.settled(id, (batch) => batch.status === 'in_progress', MAX_MS);
  return id;
}

/** Documents that are settled by now; as many as before while nobody can say it. */
function counter(system: System, id: string): () => Promise<number> {
  let last = 0;
  return async () => (last = await system.client.batches.retrieve(id).then(settledOf, () => last));
}

/** For how long after now no further document is settled, in ms. */
async function standstillMs(settled: () => Promise<number>): Promise<number> {
  const begunMs = performance.now();
  const before = await settled();
  await until(async () => {
    await delay(LOOK_MS);
    return (await settled()) > before;
  }, MAX_MS);
  return Math.round(performance.now() - begunMs);
}

/** Kills the only process of a kind and starts another; for the API: until it answers again. */
async function measureKills(system: System, id: string): Promise<Record<string, number[]>> {
  const took: Record<string, number[]> = {};
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const name of ['api', 'dispatcher', 'drafter', 'expert'] as const) {
      const begunMs = performance.now();
      await running(system, name).kill();
      await system.run(name);
      if (name === 'dispatcher') await leads(system);
      if (name === 'drafter' || name === 'expert') await busy(system, name);
      if (name === 'api')
        await until(() =>
          system.client.batches.retrieve(id).then(
            () => true,
            () => false,
          ),
        );
      (took[name] ??= []).push(Math.round(performance.now() - begunMs));
    }
  }
  return took;
}

const running = (system: System, name: ServiceName): Service => {
  const found = system.services.findLast((service) => service.name === name);
  if (found === undefined) throw new Error(`no ${name} runs`);
  return found;
};

/** The new dispatcher leads: the lease of the one that was killed is over. */
async function leads(system: System): Promise<void> {
  await running(system, 'dispatcher').waitFor(({ msg }) => msg === 'leading', MAX_MS);
}

/** The new worker asks its model. */
async function busy(system: System, name: 'drafter' | 'expert'): Promise<void> {
  const model = name === 'drafter' ? system.drafterModel : system.expertModel;
  await model.waitForRequests(model.received + 1);
}

/** What a worker had in flight when it was killed comes back when its locks are over: until all of it is settled. */
async function measureInFlight(): Promise<number> {
  await using system = await System.start({ drafter: { latencyMs: 2_000 }, env: PRODUCTION });
  const id = await submit(system, IN_FLIGHT);
  await until(async () => system.drafterModel.inFlight === IN_FLIGHT);
  const begunMs = performance.now();
  await running(system, 'drafter').kill();
  await system.run('drafter');
  await system.settled(id, (batch) => settledOf(batch) === IN_FLIGHT, MAX_MS);
  return Math.round(performance.now() - begunMs);
}

/** Redis is away for a while with what it had written; from when it is back until a further document is settled. */
async function measureAway(system: System, id: string): Promise<number> {
  await system.redis.kill();
  await delay(AWAY_S * 1_000);
  await system.redis.restart();
  return await standstillMs(counter(system, id));
}

/** Redis is wiped with many documents open: until it counts again, and until a further document is settled. */
async function measureWipe(): Promise<Record<string, number>> {
  await using system = await System.start({ ...STEADY, env: PRODUCTION });
  const id = await submit(system, OPEN);
  const settled = counter(system, id);
  const before = await settled();
  await until(async () => (await settled()) > before + 1_000, MAX_MS);
  const seen = running(system, 'dispatcher').lines.length;
  await system.redis.client.flushall();
  const begunMs = performance.now();
  const isRecovered = (): boolean =>
    running(system, 'dispatcher')
      .lines.slice(seen)
      .some(({ msg }) => msg === 'recovered what Redis forgot from storage');
  const recovered = until(async () => isRecovered(), MAX_MS).then(() => Math.round(performance.now() - begunMs));
  const [recoveredMs, settledMs] = await Promise.all([recovered, standstillMs(settled)]);
  return { openAtWipe: OPEN - before, recoveredMs, settledMs };
}

{
  await using system = await System.start({ ...STEADY, env: PRODUCTION });
  const id = await submit(system, STEADY_DOCUMENTS);
  const kills = await measureKills(system, id);
  for (const [name, ms] of Object.entries(kills))
    report({ killed: name, rounds: ROUNDS, medianMs: quantile(ms, 0.5), ms });
  const settledMs = await measureAway(system, id);
  report({ redisAwayS: AWAY_S, settledMs });
}
report({ inFlight: IN_FLIGHT, settledMs: await measureInFlight() });
report(await measureWipe());
