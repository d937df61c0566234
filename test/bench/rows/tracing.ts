import { pairs, type Figure } from '../figure.ts';
import { startModel, startSink, type Env } from '../processes.ts';
import { interleave, type Run } from '../run.ts';
import { documentsPerS, longWarmUp, startSystem } from '../service.ts';

const CONCURRENCY = 16;

/**
 * What tracing costs of the throughput: the default budget and everything, sent in both forms, against nothing, to a
 * collector that only reads.
 * Each has a system of its own, which idles while it is the others' turn: what a process learns by running takes it longer
 * than a round.
 */
export async function measureTracing(run: Run): Promise<Figure[]> {
  const documents = run.isQuick ? 2_000 : 20_000;
  using drafter = await startModel('drafter');
  using expert = await startModel('expert');
  using sink = await startSink();
  const started = (env: Env): ReturnType<typeof startSystem> =>
    startSystem({ drafter, expert }, CONCURRENCY, { warmUpDocuments: longWarmUp(run), env });
  const traced = { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${sink.port}` };
  await using off = await started({});
  await using byDefault = await started(traced);
  const everything = { ...traced, OTEL_TRACES_SAMPLER: 'always_on', OTEL_BSP_MAX_QUEUE_SIZE: '65536' };
  await using all = await started(everything);
  await using allAsJson = await started({ ...everything, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json' });
  const found = await interleave(run, {
    off: () => documentsPerS(off, documents),
    default: () => documentsPerS(byDefault, documents),
    everything: () => documentsPerS(all, documents),
    asJson: () => documentsPerS(allAsJson, documents),
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
    {
      ...line,
      figure: 'documents, all traced, sent as JSON',
      rounds: pairs(found.asJson, found.off),
      aim: { atLeast: 0.85 },
    },
  ];
}
