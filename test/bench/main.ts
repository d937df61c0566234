// The table of aims, measured: npm run bench [-- --only makespan,tracing] [--rounds 5] [--quick] [--out DIR]
//   [--large 1000000] [--speed 4]
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { verdictOf, type Figure } from './figure.ts';
import { pictureOf } from './picture.ts';
import { ROWS } from './rows.ts';
import type { Run } from './run.ts';
import { tableOf } from './table.ts';

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: Object.keys(ROWS).join(',') },
    rounds: { type: 'string' },
    quick: { type: 'boolean', default: false },
    out: { type: 'string' },
    large: { type: 'string' },
    speed: { type: 'string', default: '4' },
  },
});

const positive = (name: string, text: string): number => {
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw new Error(`--${name}: expected a positive number, got "${text}"`);
};

const tell = (line: string): void => void process.stderr.write(`${line}\n`);

const run: Run = {
  rounds: positive('rounds', values.rounds ?? (values.quick ? '2' : '5')),
  isQuick: values.quick,
  large: positive('large', values.large ?? (values.quick ? '20000' : '1000000')),
  speed: positive('speed', values.speed),
  tell,
};

/** What the figures were measured on; figures of two machines, or of two loads, are not to be compared. */
const machine = {
  cores: availableParallelism(),
  processor: cpus()[0]?.model ?? 'unknown',
  loadAtStart: Number((loadavg()[0] ?? 0).toFixed(1)),
  node: process.version,
  commit: execFileSync('git', ['describe', '--always', '--dirty'], { encoding: 'utf8' }).trim(),
  startedAt: new Date().toISOString(),
};

const names = values.only.split(',');
const unknown = names.filter((name) => !Object.hasOwn(ROWS, name));
if (unknown.length > 0) throw new Error(`no row ${unknown.join(', ')}; there are ${Object.keys(ROWS).join(', ')}`);

const about = `${machine.cores} cores (${machine.processor}), load ${machine.loadAtStart} at the start, ${run.rounds} rounds, ${machine.commit}`;

/** All that was measured so far: a row that fails, or is ended, loses none of those before it. */
function write(folder: string, figures: readonly Figure[]): void {
  mkdirSync(folder, { recursive: true });
  const whole = { machine, run, figures: figures.map((one) => ({ ...one, verdict: verdictOf(one) })) };
  writeFileSync(join(folder, 'bench.json'), `${JSON.stringify(whole, null, 2)}\n`);
  writeFileSync(join(folder, 'bench.svg'), pictureOf('Spillway: figures against their aims', about, figures));
}

const figures: Figure[] = [];
for (const name of names) {
  const startedMs = performance.now();
  tell(`${name}: begins`);
  try {
    figures.push(...((await ROWS[name]?.(run)) ?? []));
    tell(`${name}: took ${((performance.now() - startedMs) / 1_000).toFixed(0)} s`);
  } catch (error) {
    tell(`${name}: failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    process.exitCode = 1;
  }
  if (values.out !== undefined) write(values.out, figures);
}
process.stdout.write(`${tableOf(figures)}\n${about}\n`);
