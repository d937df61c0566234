// Whether the ranges of a dry run hold: npm run bench:estimate [-- --simulated 200] [--real 10] [--documents 400] [--pilot 50] [--lines 200000]
//
// Simulated batches are of all kinds (test/support/pilot-worlds.ts), real ones are the demo's documents with the embedded
// pair, of which few or many are escalated. `lines`: a file of so many lines is checked without a pilot. 0 leaves one out.
import { parseArgs } from 'node:util';
import { seededRandom } from '@spillway/core';
import { runWorld, worldOf } from '../../support/pilot-worlds.ts';
import { report } from '../processes.ts';
import { checkFile } from './check.ts';
import { realRuns, type RealRun } from './real.ts';

const { values } = parseArgs({
  options: {
    simulated: { type: 'string', default: '200' },
    real: { type: 'string', default: '10' },
    documents: { type: 'string', default: '400' },
    pilot: { type: 'string', default: '50' },
    lines: { type: 'string', default: '200000' },
    seed: { type: 'string', default: '1' },
  },
});

const whole = (name: keyof typeof values): number => {
  const value = Number(values[name]);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new Error(`--${name}: expected a whole number, got "${values[name]}"`);
};

type Range = { readonly low: number; readonly high: number; readonly final: number };

const isHeld = ({ low, high, final }: Range): boolean => final >= low && final <= high;

/** How often ranges held, and how wide they are beside what came. */
function judged(ranges: readonly Range[]): object {
  const widths = ranges.map(({ low, high, final }) => (high - low) / final).toSorted((left, right) => left - right);
  const median = widths[Math.floor(widths.length / 2)] ?? Number.NaN;
  return { of: ranges.length, held: ranges.filter(isHeld).length, medianWidth: Number(median.toFixed(2)) };
}

function simulate(count: number, seed: number): void {
  const runs = Array.from({ length: count }, (_, at) => {
    const random = seededRandom(seed * 1_000_003 + at * 7_919);
    return runWorld(worldOf(random), random, `pilot ${seed} ${at}`);
  });
  const usd = runs.map(({ estimate: { nanoUsd }, nanoUsd: final }) => ({ ...nanoUsd, final }));
  const share = runs.map(({ estimate: { escalated }, escalated: final }) => ({ ...escalated, final }));
  report({ bench: 'simulated', usd: judged(usd), share: judged(share) });
}

async function measure(runs: number): Promise<void> {
  const done: RealRun[] = [];
  for await (const run of realRuns({ runs, documents: whole('documents'), pilot: whole('pilot') })) {
    report({ bench: 'real run', ...run });
    done.push(run);
  }
  const seconds = done.flatMap((run) => run.seconds ?? []);
  const [usd, share] = [done.map((run) => run.usd), done.map((run) => run.share)];
  report({ bench: 'real', usd: judged(usd), share: judged(share), seconds: judged(seconds) });
}

if (whole('simulated') > 0) simulate(whole('simulated'), whole('seed'));
if (whole('real') > 0) await measure(whole('real'));
if (whole('lines') > 0) report({ bench: 'check', ...(await checkFile(whole('lines'))) });
