// Writes answers.csv.gz anew, from which the bench judges the embedded pair, or shifted.csv.gz, which has documents of kinds
// that neither model has seen:
//   npx node test/bench/decisions/embedded.ts [DOCUMENTS] [shifted]      5,000 take about 2.5 minutes of one core
import { writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { sameAnswer } from '@spillway/core';
import { embeddedAnswers } from '../signals/embedded.ts';

const SCORES = ['sum_logprob', 'mean_logprob', 'min_logprob', 'quantile_logprob', 'margin', 'entropy'] as const;

const documents = Number(process.argv[2] ?? 5_000);
if (!Number.isInteger(documents) || documents < 20) throw new RangeError(`expected at least 20 documents`);
const isShifted = process.argv[3] === 'shifted';
const answered = await embeddedAnswers(isShifted ? 'shifted' : 'test', documents);
// No answers, only whether the drafter's is the expert's: 0 is what the expert says, 1 is anything else.
const lines = answered.map(({ draft, final, scores }, at) => {
  const numbers = SCORES.map((name) => scores[name]?.toPrecision(7) ?? '');
  return [at, sameAnswer(draft, final) ? 0 : 1, ...numbers, 0].join(',');
});
const head = ['id', 'drafter.ans', ...SCORES.map((name) => `drafter.${name}`), 'expert.ans'].join(',');
const file = new URL(isShifted ? 'shifted.csv.gz' : 'answers.csv.gz', import.meta.url);
writeFileSync(file, gzipSync(`${[head, ...lines].join('\n')}\n`, { level: 9 }));
process.stdout.write(`${documents} documents, ${lines.filter((line) => line.split(',')[1] === '0').length} agree\n`);
