import { startRedis } from '../../support/redis.ts';
import { median, pairs, type Figure } from '../figure.ts';
import { ran, startModel } from '../processes.ts';
import { interleave, type Run } from '../run.ts';
import { longWarmUp, secondsOf, serviceCpuS, startSystem, submitMany } from '../service.ts';

/** Of a service that has much to do: the row of documents a second finds that many to be best, or twice as many. */
const CONCURRENCY = 128;
/** Looking more often would be a cost of its own. */
const LOOK_MS = 250;
/** A quarter of the documents has a second call and a second job. */
const STAGES = 1.25;

type Parts = { readonly call: number; readonly bundled: number; readonly single: number; readonly settle: number };

/**
 * The CPU that a document costs of all processes of the service and of Redis, upload and validation included, against what
 * its parts cost by themselves (`bare-parts.ts`), in microseconds. Model servers count on neither side.
 */
export async function measureCpu(run: Run): Promise<Figure[]> {
  const documents = run.isQuick ? 2_000 : 20_000;
  using drafter = await startModel('drafter');
  using expert = await startModel('expert');
  await using bareRedis = await startRedis();
  await using system = await startSystem({ drafter, expert }, CONCURRENCY, { warmUpDocuments: longWarmUp(run) });
  const byProcess: Record<string, number[]> = {};
  const parts: Parts[] = [];
  const found = await interleave(run, {
    service: async () => {
      const before = await serviceCpuS(system);
      await secondsOf(system, await submitMany(system, documents), LOOK_MS);
      const after = await serviceCpuS(system);
      const micros = Object.entries(after).map(
        ([name, seconds]) => [name, ((seconds - before[name as keyof typeof before]) * 1e6) / documents] as const,
      );
      for (const [name, value] of micros) (byProcess[name] ??= []).push(value);
      return micros.reduce((sum, [, value]) => sum + value, 0);
    },
    bare: async () => {
      const one = await ran<Parts>('bare-parts.ts', {
        MODEL: drafter.baseURL,
        REDIS_URL: bareRedis.url,
        DOCUMENTS: String(documents),
      });
      parts.push(one);
      return STAGES * (one.call + one.bundled) + one.settle;
    },
  });
  const of = (name: keyof Parts): string => median(parts.map((one) => one[name])).toFixed(0);
  const singles = parts.map(({ call, single, settle }) => STAGES * (call + single) + settle);
  const line = { figure: 'CPU a document, all processes and Redis', unit: 'µs', aim: { atMost: 1.5 } };
  return [
    {
      ...line,
      reference: 'its bare parts, jobs in bundles',
      rounds: pairs(found.service, found.bare),
      notes: [
        Object.entries(byProcess)
          .map(([name, values]) => `${name} ${median(values).toFixed(0)}`)
          .join(', '),
        `bare: a call ${of('call')}, a job's share of a bundle of 16 ${of('bundled')}, a result's of a script for 16 ${of('settle')}`,
      ],
    },
    {
      ...line,
      reference: 'the same, a job for each document',
      rounds: pairs(found.service, singles),
      notes: [`a job by itself ${of('single')}`],
    },
  ];
}
