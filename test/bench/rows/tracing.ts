import { pairs, type Figure } from '../figure.ts';
import { startModel, startSink } from '../processes.ts';
import { interleave, type Run } from '../run.ts';
import { createSystem, documentsPerS, longWarmUp } from '../service.ts';

const CONCURRENCY = 16;

/** What tracing costs of the throughput: the default budget and everything against nothing, to a collector that only reads. */
export async function measureTracing(run: Run): Promise<Figure[]> {
  const documents = run.isQuick ? 2_000 : 20_000;
  using drafter = await startModel('drafter');
  using expert = await startModel('expert');
  using sink = await startSink();
  const traced = { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${sink.port}` };
  const modes = {
    off: {},
    default: traced,
    everything: { ...traced, OTEL_TRACES_SAMPLER: 'always_on', OTEL_BSP_MAX_QUEUE_SIZE: '65536' },
  };
  // Each round has processes of its own, and the next ones lead at once.
  await using system = await createSystem({ drafter, expert }, CONCURRENCY, { SPILLWAY_LEASE_MS: '1500' });
  await system.run('api');
  const perS = async (env: Readonly<Record<string, string>>): Promise<number> => {
    const services = await Promise.all(
      (['dispatcher', 'drafter', 'expert'] as const).map((name) => system.run(name, env)),
    );
    await system.admitted();
    await documentsPerS(system, longWarmUp(run));
    const rate = await documentsPerS(system, documents);
    await Promise.all(services.map((service) => service.stop()));
    return rate;
  };
  const found = await interleave(run, {
    off: () => perS(modes.off),
    default: () => perS(modes.default),
    everything: () => perS(modes.everything),
  });
  const line = { reference: 'tracing off', unit: '/s', notes: [] };
  return [
    {
      ...line,
      figure: 'documents, traced by default',
      rounds: pairs(found.default, found.off),
      aim: { atLeast: 0.95 },
    },
    { ...line, figure: 'documents, all traced', rounds: pairs(found.everything, found.off), aim: { atLeast: 0.85 } },
  ];
}
