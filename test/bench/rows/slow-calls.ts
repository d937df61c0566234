import { availableParallelism } from 'node:os';
import { median, pairs, type Figure } from '../figure.ts';
import { machineS, startModel } from '../processes.ts';
import type { Run } from '../run.ts';
import { documentsPerS, longWarmUp, serviceCpuS, startSystem } from '../service.ts';

const LATENCY_MS = 300;
const CONCURRENCY = 256;

/**
 * Documents a second where each call takes 300 ms and 256 are under way at a time, against 256 divided by 300 ms: whether the
 * service keeps the places of its tiers full. Where the machine has too few cores for that rate, the note says how many it
 * would take.
 */
export async function measureSlowCalls(run: Run): Promise<Figure[]> {
  const documents = run.isQuick ? 3_000 : 20_000;
  const idealPerS = (CONCURRENCY * 1_000) / LATENCY_MS;
  using drafter = await startModel('drafter', { LATENCY_MS: String(LATENCY_MS) });
  using expert = await startModel('expert', { LATENCY_MS: String(LATENCY_MS) });
  await using system = await startSystem({ drafter, expert }, CONCURRENCY, { warmUpDocuments: longWarmUp(run) });
  const rates: number[] = [];
  const busyShares: number[] = [];
  const cores: number[] = [];
  for (let round = 0; round < run.rounds; round += 1) {
    const [machine, service] = [machineS(), await serviceCpuS(system)];
    rates.push(await documentsPerS(system, documents));
    const [machineAfter, serviceAfter] = [machineS(), await serviceCpuS(system)];
    busyShares.push((machineAfter.busy - machine.busy) / (machineAfter.all - machine.all));
    const spentS = Object.entries(serviceAfter).reduce(
      (sum, [name, seconds]) => sum + seconds - service[name as keyof typeof service],
      0,
    );
    cores.push((spentS / documents) * idealPerS);
    run.tell(`round ${round + 1} of ${run.rounds}: ${rates.at(-1)?.toFixed(0)} a second`);
  }
  const there = availableParallelism();
  const isShort = median(busyShares) > 0.95;
  return [
    {
      figure: 'documents, 300 ms a call, 256 at a time',
      reference: 'the ideal rate',
      unit: '/s',
      rounds: pairs(
        rates,
        rates.map(() => idealPerS),
      ),
      aim: { atLeast: 0.9 },
      notes: [
        `the machine's ${there} cores were ${(100 * median(busyShares)).toFixed(0)} % busy` +
          `${isShort ? ': cores are what is missing' : ''}; at the ideal rate the service would take ` +
          `${median(cores).toFixed(1)} of them beside the model servers`,
      ],
    },
  ];
}
