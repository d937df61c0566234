import { availableParallelism } from 'node:os';
import { median, pairs, type Figure } from '../figure.ts';
import { startModel } from '../processes.ts';
import { interleave, type Run } from '../run.ts';
import { documentsPerS, longWarmUp, serviceCpuS, startSystem } from '../service.ts';

const CONCURRENCY = 256;
const LATENCY_MS = 20;

/** Redis, the dispatcher, an expert, two model servers, and a core for each of two drafters. */
const MIN_CORES = 6;

/** Documents a second of two drafter processes against one, on servers that take some time and any number of calls. */
export async function measureTwoDrafters(run: Run): Promise<Figure[]> {
  const line = {
    figure: 'documents, two drafter processes',
    reference: 'one',
    unit: '/s',
    aim: { atLeast: 1.7 },
  };
  const cores = availableParallelism();
  if (cores < MIN_CORES)
    return [{ ...line, rounds: [], notes: [`no free cores: the machine has ${cores}, this takes ${MIN_CORES}`] }];
  const documents = run.isQuick ? 4_000 : 20_000;
  using drafter = await startModel('drafter', { LATENCY_MS: String(LATENCY_MS) });
  using expert = await startModel('expert', { LATENCY_MS: String(LATENCY_MS) });
  await using one = await startSystem({ drafter, expert }, CONCURRENCY, { warmUpDocuments: longWarmUp(run) });
  await using two = await startSystem({ drafter, expert }, CONCURRENCY, { warmUpDocuments: longWarmUp(run) });
  await two.run('drafter');
  const shares: Record<string, number[]> = {};
  const found = await interleave(run, {
    two: async () => {
      const [before, startedMs] = [await serviceCpuS(two), performance.now()];
      const rate = await documentsPerS(two, documents);
      const tookS = (performance.now() - startedMs) / 1_000;
      for (const [name, seconds] of Object.entries(await serviceCpuS(two)))
        (shares[name] ??= []).push((seconds - before[name as keyof typeof before]) / tookS);
      return rate;
    },
    one: () => documentsPerS(one, documents),
  });
  const busy = Object.entries(shares).map(([name, values]) => `${name} ${(100 * median(values)).toFixed(0)} %`);
  return [{ ...line, rounds: pairs(found.two, found.one), notes: [`of a core with two: ${busy.join(', ')}`] }];
}
