import { appendFile, mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { runSeeds } from './seeds.ts';

/**
 * Runs seeded schedules of faults against the whole system and checks from outside what must always hold.
 *
 *     npm run chaos -- --runs 100 --seed 1 [--jobs 2] [--without KINDS] [--out FOLDER]
 *
 * `--without clock,deadly` leaves kinds of faults and documents out. Each seed is one line of FOLDER/log.jsonl; what is
 * needed to understand one that failed is in FOLDER/seed-<n>. Ends with 0 only if nothing was violated. After SIGINT or
 * SIGTERM no other schedule begins.
 */
const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '1' },
    seed: { type: 'string', default: '1' },
    jobs: { type: 'string', default: '1' },
    without: { type: 'string', default: '' },
    out: { type: 'string', default: join(tmpdir(), 'spillway-chaos') },
  },
});
const [runs, first, jobs] = [values.runs, values.seed, values.jobs].map((text) => Number.parseInt(text, 10));
if (![runs, first, jobs].every((number) => Number.isSafeInteger(number)) || Number(runs) < 1 || Number(jobs) < 1) {
  process.stderr.write('usage: npm run chaos -- --runs N --seed S [--jobs J] [--without KIND,KIND] [--out FOLDER]\n');
  process.exit(2);
}
await mkdir(values.out, { recursive: true });
const seeds = Array.from({ length: Number(runs) }, (_, at) => Number(first) + at);
const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
const startedAtMs = performance.now();
let ran = 0;
let documents = 0;
let faults = 0;
let failed = 0;
await runSeeds(seeds, {
  jobs: Number(jobs),
  without: new Set(values.without.split(',')),
  folder: values.out,
  signal: stop.signal,
  report: async (outcome) => {
    ran += 1;
    documents += outcome.documents;
    faults += outcome.faults.length;
    if (outcome.violations.length > 0) failed += 1;
    await appendFile(join(values.out, 'log.jsonl'), `${JSON.stringify(outcome)}\n`);
    const { seed, storage, totalMs, violations } = outcome;
    const kinds = outcome.faults.map(({ kind }) => kind).join(' ');
    const line = `seed ${seed} ${storage} ${outcome.documents} documents ${(totalMs / 1_000).toFixed(1)} s: ${kinds}\n`;
    process.stdout.write(
      line +
        violations
          .slice(0, 20)
          .map((violation) => `  VIOLATED ${violation}\n`)
          .join(''),
    );
  },
});
const seconds = Math.round((performance.now() - startedAtMs) / 1_000);
process.stdout.write(
  `${ran} schedules, ${documents} documents, ${faults} faults in ${seconds} s: ${failed} failed; ${values.out}\n`,
);
process.exitCode = failed === 0 && ran === seeds.length ? 0 : 1;
