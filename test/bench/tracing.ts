// What tracing costs of the throughput: nothing traced, the default budget, and everything, in turn in one run, against
// instant model servers and a collector that only reads. Run: node test/bench/tracing.ts [documents] [rounds]
import { System } from '../support/system.ts';
import { prompts, quantile, report, startModel, startSink } from './processes.ts';

const DOCUMENTS = Number(process.argv[2] ?? 10_000);
const ROUNDS = Number(process.argv[3] ?? 5);
const SPEC = { concurrency: 16 };

const [drafter, expert, sink] = await Promise.all([startModel('drafter'), startModel('expert'), startSink()]);
const traced = { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${sink.port}` };
const MODES = {
  off: {},
  default: traced,
  everything: { ...traced, OTEL_TRACES_SAMPLER: 'always_on', OTEL_BSP_MAX_QUEUE_SIZE: '65536' },
} as const;

await using system = await System.create({
  models: { small: { ...SPEC, base_url: drafter.baseURL }, large: { ...SPEC, base_url: expert.baseURL } },
  env: { SPILLWAY_LEASE_MS: '1500', SPILLWAY_LOCK_MS: '30000', SPILLWAY_SWEEP_MS: '15000', SPILLWAY_POLL_MS: '100' },
});
await system.run('api');

/** Documents per second of new processes in a mode. */
async function perSecond(mode: keyof typeof MODES): Promise<number> {
  const services = await Promise.all(
    (['dispatcher', 'drafter', 'expert'] as const).map((name) => system.run(name, MODES[mode])),
  );
  await system.admitted();
  await system.settled((await system.submit(prompts(1_000))).id, undefined, 120_000);
  const { id } = await system.submit(prompts(DOCUMENTS));
  const startedMs = performance.now();
  await system.settled(id, undefined, 600_000);
  const rate = DOCUMENTS / ((performance.now() - startedMs) / 1_000);
  await Promise.all(services.map((service) => service.stop()));
  return rate;
}

const names = Object.keys(MODES) as (keyof typeof MODES)[];
const costs: Record<'default' | 'everything', number[]> = { default: [], everything: [] };
for (let round = 0; round < ROUNDS; round += 1) {
  const rates = new Map<string, number>();
  // Each mode is first, second and last equally often: a machine gets slower or faster while it runs.
  for (let place = 0; place < names.length; place += 1) {
    const mode = names[(round + place) % names.length] ?? 'off';
    rates.set(mode, await perSecond(mode));
  }
  const off = rates.get('off') ?? Number.NaN;
  for (const mode of ['default', 'everything'] as const) costs[mode].push(1 - (rates.get(mode) ?? Number.NaN) / off);
  report({ round, perSecond: Object.fromEntries(rates) });
}
report({ medianCost: { default: quantile(costs.default, 0.5), everything: quantile(costs.everything, 0.5) } });
for (const { child } of [drafter, expert, sink]) child.kill();
