// Judges every confidence signal: calibrations are learnt on one part and judged on another.
//   npm run bench:signals                                       the embedded pair, in and out of distribution
//   npm run bench:signals -- --data FILE.csv.gz --drafter NAME --expert NAME [--labels N] [--seed N] [--json]
import { parseArgs } from 'node:util';
import { embeddedRows, EMBEDDED_SIGNALS } from './embedded.ts';
import { TableError } from '../answer-table.ts';
import { readTable } from './table.ts';
import { judgeSignals, type BenchVerdict } from './verdict.ts';

const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    drafter: { type: 'string' },
    expert: { type: 'string' },
    labels: { type: 'string' },
    seed: { type: 'string', default: '1' },
    documents: { type: 'string', default: '3000' },
    json: { type: 'boolean', default: false },
  },
});

const whole = (name: string, text: string): number => {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new TableError(`--${name}: expected a whole number of at least 1, got "${text}"`);
  return value;
};

const shown = (value: number | null): string => (value === null ? '  –  ' : value.toFixed(3));

function print(title: string, verdict: BenchVerdict): void {
  const { drafter, expert, learnt_on: learnt, judged_on: judged, random, oracle } = verdict;
  process.stdout.write(
    `\n${title}: learnt on ${learnt}, judged on ${judged}; drafter ${shown(drafter)}, expert ${shown(expert)}, ` +
      `AUDC at random ${shown(random)}, of the oracle ${shown(oracle)}\n` +
      `  ${'signal'.padEnd(18)} ${'calibration'.padEnd(11)}  AUROC   AUDC    gain  (95 %)            ECE    Brier  of the expert at 30 %\n`,
  );
  for (const {
    signal,
    method,
    auroc,
    audc,
    gain,
    gain_interval: interval,
    ece,
    brier,
    at_30_percent: at,
  } of verdict.signals) {
    const range = interval === null ? ''.padEnd(14) : `${shown(interval[0])} … ${shown(interval[1])}`;
    process.stdout.write(
      `  ${signal.padEnd(18)} ${(method ?? 'none').padEnd(11)}  ${shown(auroc)}  ${shown(audc)}  ${shown(gain)}  ${range}  ` +
        `${shown(ece)}  ${shown(brier)}  ${(100 * at.of_expert).toFixed(1)} % (${(100 * at.escalated).toFixed(1)} % escalated)\n`,
    );
  }
}

async function run(): Promise<void> {
  const { data, drafter, expert } = values;
  if (data !== undefined) {
    if (drafter === undefined || expert === undefined)
      throw new TableError('--data needs --drafter NAME and --expert NAME');
    const labels = values.labels === undefined ? null : whole('labels', values.labels);
    const verdict = judgeSignals(readTable({ path: data, drafter, expert, seed: whole('seed', values.seed), labels }));
    if (values.json) process.stdout.write(`${JSON.stringify({ data, pair: { drafter, expert }, ...verdict })}\n`);
    else print(`${drafter} → ${expert}`, verdict);
    return;
  }
  const documents = whole('documents', values.documents);
  const learn = await embeddedRows('calibration', Math.ceil(documents / 2));
  const parts = [
    ['in distribution', await embeddedRows('test', documents)],
    ['out of distribution', await embeddedRows('shifted', Math.ceil(documents / 3))],
  ] as const;
  const verdicts = parts.map(
    ([name, judge]) => [name, judgeSignals({ signals: EMBEDDED_SIGNALS, learn, judge })] as const,
  );
  if (values.json) process.stdout.write(`${JSON.stringify(Object.fromEntries(verdicts))}\n`);
  else for (const [name, verdict] of verdicts) print(`embedded pair, ${name}`, verdict);
}

try {
  await run();
} catch (error) {
  const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT';
  if (!(error instanceof TableError) && !isMissing) throw error;
  process.stderr.write(`bench:signals: ${(error as Error).message}\n`);
  process.exitCode = 1;
}
