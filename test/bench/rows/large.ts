import { setTimeout as delay } from 'node:timers/promises';
import type { Figure } from '../figure.ts';
import { residentMiB, startModel } from '../processes.ts';
import type { System } from '../../support/system.ts';
import type { Run } from '../run.ts';
import { longWarmUp, redisInfo, secondsOf, startSystem, submitMany, type Servers } from '../service.ts';

const CONCURRENCY = 32;
const SMALL = 10_000;
const LOOK_MS = 100;

type Found = { readonly perS: number; readonly redisMiB: number; readonly residentMiB: number };

/** Throughput of a batch, the most that Redis used over what it used before, and the most that all processes had together. */
async function measureBatch(system: System, documents: number): Promise<Found> {
  const usedMiB = async (): Promise<number> => (await redisInfo(system, 'memory', 'used_memory')) / 2 ** 20;
  const ours = (): number => system.services.reduce((sum, { child }) => sum + residentMiB(child.pid), 0);
  const before = await usedMiB();
  const peak = { redis: 0, ours: 0 };
  const over = new AbortController();
  const watch = async (): Promise<void> => {
    while (!over.signal.aborted) {
      peak.redis = Math.max(peak.redis, (await usedMiB()) - before);
      peak.ours = Math.max(peak.ours, ours());
      await delay(LOOK_MS);
    }
  };
  const watching = watch();
  try {
    const seconds = await secondsOf(system, await submitMany(system, documents), LOOK_MS);
    return { perS: documents / seconds, redisMiB: peak.redis, residentMiB: peak.ours };
  } finally {
    over.abort();
    await watching;
  }
}

async function measureAlone(run: Run, servers: Servers, documents: number): Promise<Found> {
  await using system = await startSystem(servers, CONCURRENCY, { warmUpDocuments: longWarmUp(run) });
  return await measureBatch(system, documents);
}

/**
 * Throughput and memory at very many documents against ten thousand, each with processes of their own. Of a million one
 * round is measured, as it takes as long as all the other rows.
 */
export async function measureLarge(run: Run): Promise<Figure[]> {
  using drafter = await startModel('drafter');
  using expert = await startModel('expert');
  const servers = { drafter, expert };
  const rounds: { readonly small: Found; readonly large: Found }[] = [];
  for (let round = 0; round < (run.large >= 1_000_000 ? 1 : run.rounds); round += 1) {
    const [small, large] = [await measureAlone(run, servers, SMALL), await measureAlone(run, servers, run.large)];
    rounds.push({ small, large });
    run.tell(`round ${round + 1}: ${large.perS.toFixed(0)}/s, ${small.perS.toFixed(0)}/s of the small one`);
  }
  const line = (name: keyof Found): Pick<Figure, 'reference' | 'rounds' | 'notes'> => ({
    reference: `the same at ${SMALL.toLocaleString('en-US')}`,
    rounds: rounds.map(({ small, large }) => ({ measured: large[name], reference: small[name] })),
    notes: [],
  });
  const at = `at ${run.large.toLocaleString('en-US')} documents`;
  return [
    { ...line('perS'), figure: `throughput ${at}`, unit: '/s', aim: { atLeast: 0.95 } },
    { ...line('redisMiB'), figure: `Redis' peak ${at}`, unit: 'MiB', aim: { atMost: 1.2 } },
    { ...line('residentMiB'), figure: `resident memory ${at}`, unit: 'MiB', aim: { atMost: 1.3 } },
  ];
}
