/**
 * Prints the figures of MODEL_CARD.md: `node src/evaluation/main.ts [DOCUMENTS] [WEIGHTS]`.
 * Thresholds are chosen on the calibration split only; everything else is measured on documents that nothing has seen.
 */
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import {
  areaUnderRoc,
  calibrationError,
  cascadeAt,
  judge as judgeDraft,
  thresholdFor,
  type JudgedDocument,
  runAtOnce,
} from '@spillway/core';
import type { Split } from '../documents/index.ts';
import { ANSWER_TOKENS, generateDocument, isCorrect } from '../documents/index.ts';
import { loadTokenizer } from '../engine/tokenizer.ts';
import type { Answer, EvaluatedModel } from './answers.ts';
import { answerAll, evidenceOf, promptOf } from './answers.ts';

const ROWS = 16;
const SHARES = [0.05, 0.1, 0.15, 0.2, 0.25, 0.28, 0.3, 0.35, 0.4, 0.5];

interface Answered {
  readonly right: boolean;
  readonly confidence: number;
  readonly tokens: number;
}

interface Run {
  readonly answers: readonly Answered[];
  readonly seconds: number;
}

/** Answers the documents of a split, `rows` at a time. */
async function answerSplit(model: EvaluatedModel, split: Split, count: number, rows: number): Promise<Run> {
  const documents = Array.from({ length: count }, (_, seed) => {
    const { text, truth } = generateDocument(seed, { split });
    return { prompt: promptOf(model.tokenizer, text), truth };
  });
  const { answers, seconds } = await answerAll(model, documents, { maxTokens: ANSWER_TOKENS, rows });
  return {
    answers: answers.map((answer) => ({
      right: isCorrect(answer.text, answer.item.truth),
      confidence: confidenceOf(answer),
      tokens: answer.generatedTokens,
    })),
    seconds,
  };
}

/** As the quick start's cascade judges a draft; 0 for what it escalates without a score. */
function confidenceOf(answer: Answer<unknown>): number {
  const judged = runAtOnce(judgeDraft(evidenceOf(answer, {}), { signal: { name: 'sum_logprob' }, calibration: null }));
  return judged.kind === 'scored' ? judged.confidence : 0;
}

const shareOf = <T>(items: readonly T[], holds: (item: T) => boolean): number =>
  items.filter(holds).length / items.length;

function judge(drafter: Run, expert: Run): JudgedDocument[] {
  return drafter.answers.map((draft, i) => ({
    confidence: draft.confidence,
    drafterRight: draft.right,
    expertRight: expert.answers[i]?.right ?? false,
  }));
}

function print(label: string, value: string): void {
  process.stdout.write(`${label.padEnd(44)} ${value}\n`);
}

function printSplit(name: string, judged: readonly JudgedDocument[]): void {
  print(`${name}: drafter, exact match`, shareOf(judged, (document) => document.drafterRight).toFixed(4));
  print(`${name}: expert, exact match`, shareOf(judged, (document) => document.expertRight).toFixed(4));
  print(`${name}: AUROC of the confidence`, (areaUnderRoc(judged) ?? Number.NaN).toFixed(4));
  print(`${name}: ECE of the confidence`, calibrationError(judged).toFixed(4));
}

function printDifficulties(judged: readonly JudgedDocument[]): void {
  const fifths = Array.from({ length: 5 }, (_, fifth) =>
    judged.filter(
      (_document, seed) => Math.min(4, Math.floor(generateDocument(seed, { split: 'test' }).difficulty * 5)) === fifth,
    ),
  );
  const shares = (right: (document: JudgedDocument) => boolean): string =>
    fifths.map((members) => shareOf(members, right).toFixed(3)).join(' ');
  print(
    'test: drafter by fifth of difficulty',
    shares((document) => document.drafterRight),
  );
  print(
    'test: expert by fifth of difficulty',
    shares((document) => document.expertRight),
  );
}

/** Thresholds come from the calibration split, shares and accuracies from the test split. */
function printCascades(calibration: readonly JudgedDocument[], test: readonly JudgedDocument[]): void {
  const expert = shareOf(test, (document) => document.expertRight);
  for (const share of SHARES) {
    const acceptAt = thresholdFor(calibration, share);
    const { escalated, accuracy } = cascadeAt(test, acceptAt);
    const ofExpert = ((100 * accuracy) / expert).toFixed(1);
    print(
      `accept_at ${acceptAt.toFixed(4)}`,
      `escalated ${escalated.toFixed(3)} accuracy ${accuracy.toFixed(4)} (${ofExpert} % of the expert's)`,
    );
  }
}

async function main(): Promise<void> {
  const count = Number(process.argv[2] ?? 4000);
  const weights =
    process.argv[3] === undefined
      ? new URL('../../weights/', import.meta.url)
      : pathToFileURL(`${resolve(process.argv[3])}/`);
  const tokenizer = loadTokenizer(new URL('tokenizer.json', weights));
  const pair = { drafter: { weights, file: 'drafter', tokenizer }, expert: { weights, file: 'expert', tokenizer } };
  const judgedSplit = async (split: Split, documents: number): Promise<JudgedDocument[]> => {
    const drafter = await answerSplit(pair.drafter, split, documents, ROWS);
    return judge(drafter, await answerSplit(pair.expert, split, documents, ROWS));
  };
  const calibration = await judgedSplit('calibration', Math.ceil(count / 2));
  const test = await judgedSplit('test', count);
  const shifted = await judgedSplit('shifted', Math.ceil(count / 4));
  printSplit('test', test);
  printDifficulties(test);
  printSplit('shifted', shifted);
  printCascades(calibration, test);
  for (const rows of [1, ROWS]) {
    const perDocument: number[] = [];
    for (const [name, model] of Object.entries(pair)) {
      const { answers, seconds } = await answerSplit(model, 'demo', 160, rows);
      const tokens = answers.reduce((sum, answered) => sum + answered.tokens, 0);
      perDocument.push(seconds / answers.length);
      print(
        `${name}, ${rows} at once`,
        `${(answers.length / seconds).toFixed(1)} documents/s, ${(tokens / seconds).toFixed(0)} tokens/s`,
      );
    }
    print(
      `expert's time per document, ${rows} at once`,
      `${((perDocument[1] ?? 0) / (perDocument[0] ?? 1)).toFixed(1)} times the drafter's`,
    );
  }
}

await main();
