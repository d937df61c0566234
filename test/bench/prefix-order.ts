// What the order of a page's documents is worth to a server with a prefix cache: simulated, and what it costs to find.
//   npx node test/bench/prefix-order.ts [--service: the first mix through the whole service, on GPU-like servers]
import { parseArgs } from 'node:util';
import { byPrefix } from '@spillway/core';
import type { Stats } from './gpu/server.ts';
import { bodyOf, contentsOf, enqueued, MIXES, serve, worksOf, type MixName } from './gpu/prefix-mixes.ts';
import { PUBLISHED } from './gpu/published.ts';
import { median } from './figure.ts';
import { startGpu } from './processes.ts';
import { secondsOf, startSystem, submitMany } from './service.ts';

const SPEC = PUBLISHED['llama-8b-h100'];
const CACHES = [600, 1_500, 4_000, 8_000, 11_000, 13_000, 16_000, SPEC.cacheBlocks];
const DOCUMENTS = 2_048;
const NAMES = Object.keys(MIXES) as MixName[];

const tell = (line: string): void => void process.stdout.write(`${line}\n`);

/** Microseconds of a document for finding the order of its page; what else this machine does is left out by the median. */
function costUs(bodies: readonly ReturnType<typeof bodyOf>[]): number {
  const some = JSON.stringify(bodies.slice(0, 256));
  const times = Array.from({ length: 40 }, () => {
    // As they come from a file: no text was looked into before.
    const page = (JSON.parse(some) as ReturnType<typeof bodyOf>[]).map((body) => ({
      request: { cascade: 'test', body },
    }));
    const startedMs = performance.now();
    byPrefix(page);
    return ((performance.now() - startedMs) * 1_000) / page.length;
  });
  return median(times);
}

function simulate(): void {
  for (const name of NAMES) {
    const bodies = contentsOf(name, DOCUMENTS).map(bodyOf);
    const works = worksOf(bodies, SPEC);
    const [given, ours] = [bodies.keys().toArray(), enqueued(bodies)];
    const isSame = ours.every((place, at) => place === at);
    tell(`${name}: ${costUs(bodies).toFixed(1)} µs a document${isSame ? ', the order stays' : ''}`);
    for (const cacheBlocks of CACHES) {
      const [before, after] = [given, ours].map((order) => serve({ ...SPEC, cacheBlocks }, works, order));
      if (before === undefined || after === undefined) continue;
      const shares = [before, after].map(({ cached }) => `${Math.round(100 * cached)} %`).join(' → ');
      const seconds = [before, after].map(({ ms }) => `${(ms / 1_000).toFixed(1)} s`).join(' → ');
      tell(`  ${cacheBlocks} blocks: ${seconds}, ${(after.ms / before.ms).toFixed(3)} ×; from the cache ${shares}`);
    }
  }
}

/** A batch of the first mix as the service enqueues it, on servers whose caches hold a third of a page's texts. */
async function throughService(): Promise<void> {
  const env = { SPEED: '4', CACHE_BLOCKS: '4000' };
  using drafter = await startGpu({ ...env, ROLE: 'drafter', SPEC: 'llama-8b-h100' });
  using expert = await startGpu({ ...env, ROLE: 'expert', SPEC: 'llama-70b-4xh100' });
  await using system = await startSystem({ drafter, expert }, 320);
  const contents = contentsOf(NAMES[0] ?? 'nothing shared, 1,750 tokens', 1_024);
  const statsOf = async (port: number): Promise<Stats> =>
    (await (await fetch(`http://127.0.0.1:${port}/stats`)).json()) as Stats;
  await statsOf(drafter.port);
  const seconds = await secondsOf(
    system,
    await submitMany(system, contents.length, (at) => contents[at]?.join('') ?? ''),
  );
  const { promptTokens, cachedTokens, busyMs } = await statsOf(drafter.port);
  tell(
    `${contents.length} documents in ${seconds.toFixed(1)} s; the drafter's server was busy for ${(busyMs / 1_000).toFixed(1)} s and had ${Math.round((100 * cachedTokens) / promptTokens)} % from its cache`,
  );
}

const { values } = parseArgs({ options: { service: { type: 'boolean', default: false } } });
if (values.service) await throughService();
else simulate();
