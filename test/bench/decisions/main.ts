// Judges the rule behind a promise beside others: how often they break it, and what share the expert gets.
//   npm run bench:decisions                                  the embedded pair, as answers.csv.gz has it
//   npm run bench:decisions -- --data FILE.csv.gz --drafter NAME --expert NAME
//     [--score p1|margin|entropy|head|COLUMN] [--sample 500] [--sizes 2000,9500] [--agreements 0.9,0.95,0.98]
//     [--deltas 0.05,0.1] [--batches 2000] [--seed 1] [--json]
//   npm run bench:decisions -- --audit                       after how many audits the alarm comes
//     [--data FILE.csv.gz --shifted FILE.csv.gz --drafter NAME --expert NAME]     where the documents change to those of another file
import { fileURLToPath } from 'node:url';
import { TableError } from '../answer-table.ts';
import { auditTable, measureAudit } from './audits.ts';
import { judgePromise } from './judge.ts';
import { OptionError, readOptions, type Options } from './options.ts';
import { promisesOf, tableOf } from './report.ts';
import { rankedBy } from './rows.ts';
import { measureShift, shiftTable } from './shift.ts';
import { readPair } from './table.ts';

/** Answers of the embedded pair to 5,000 documents of the split `test`, written by embedded.ts. */
const EMBEDDED = {
  data: fileURLToPath(new URL('answers.csv.gz', import.meta.url)),
  shifted: fileURLToPath(new URL('shifted.csv.gz', import.meta.url)),
  drafter: 'drafter',
  expert: 'expert',
};

/** After how many audits the alarm comes: at some rates, and where the documents change to others. */
function runAudit({ source, score, seed, isJson }: Options): void {
  const { data, shifted, drafter, expert } = source ?? EMBEDDED;
  const rowsOf = (path: string) => readPair({ path, drafter, expert, score }).rows;
  const shift = shifted === null ? null : measureShift(rowsOf(data), rowsOf(shifted), seed);
  const audits = source === null ? measureAudit(seed) : null;
  const tables = [
    audits === null ? '' : auditTable(audits),
    shift === null ? '' : shiftTable(`${drafter} → ${expert}`, shift),
  ];
  process.stdout.write(isJson ? `${JSON.stringify({ audits, shift })}\n` : tables.join(''));
}

function run(options: Options): void {
  if (options.isAudit) return runAudit(options);
  const { data, drafter, expert } = options.source ?? EMBEDDED;
  const { rows, score, leftOut } = readPair({ path: data, drafter, expert, score: options.score });
  const agreement = rows.filter(({ agrees }) => agrees).length / rows.length;
  const unjudged = rows.filter((row) => row.score === null).length;
  const ranked = rankedBy(rows);
  const verdicts = options.agreements.flatMap((target) =>
    options.deltas.flatMap((delta) =>
      options.sizes.map((size) => judgePromise(ranked, { agreement: target, delta, size }, options)),
    ),
  );
  if (options.isJson) {
    const found = { data, pair: { drafter, expert }, score, seed: options.seed, rows: rows.length, leftOut, unjudged };
    process.stdout.write(`${JSON.stringify({ ...found, drafterAgrees: agreement, promises: promisesOf(verdicts) })}\n`);
    return;
  }
  process.stdout.write(
    `${drafter} → ${expert} by ${score}: ${rows.length} documents, ${(100 * agreement).toFixed(1)} % agree, ` +
      `${unjudged} cannot be judged, ${leftOut} left out without an expert's answer\n${tableOf(verdicts)}`,
  );
}

try {
  run(readOptions(process.argv.slice(2)));
} catch (error) {
  const { code } = error as NodeJS.ErrnoException;
  const isTold = error instanceof TableError || error instanceof OptionError || code === 'ENOENT' || code === 'EISDIR';
  if (!isTold) throw error;
  process.stderr.write(`bench:decisions: ${(error as Error).message}\n`);
  process.exitCode = 1;
}
