import { usd } from '@spillway/core';
import { DEMO } from './cascade.ts';
import type { SingleModelRun } from './single-model.ts';
import { quantile, sum } from './statistics.ts';
import type { Tally } from './tally.ts';

export type SummaryFacts = {
  readonly tally: Tally;
  /** From sending the file to the end of the batch. */
  readonly batchMs: number;
  /** Each model without the other; null where there is no truth to compare with. */
  readonly singleModels: { readonly drafter: SingleModelRun; readonly expert: SingleModelRun } | null;
  readonly files: { readonly output: string | null; readonly errors: string | null };
};

/** What the demo says at its end, line by line. */
export function summarize(facts: SummaryFacts): string[] {
  return [
    ...splitLines(facts),
    ...valuedLines(facts),
    ...accuracyLines(facts),
    ...moneyLines(facts),
    ...timeLines(facts.tally),
    ...waitLines(facts.tally),
    ...fileLines(facts.files),
  ];
}

const line = (name: string, text: string): string => `  ${name.padEnd(16)} ${text}`;
const number = (value: number): string => value.toLocaleString('en-US');
const percent = (part: number, whole: number): string => `${whole === 0 ? 0 : ((100 * part) / whole).toFixed(1)} %`;
const money = (value: number): string => `$${value.toPrecision(3)}`;

/** A time as a person says it. */
export function duration(ms: number | null): string {
  if (ms === null) return '–';
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  return ms < 100_000
    ? `${(ms / 1_000).toFixed(1)} s`
    : `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1_000)} s`;
}

function splitLines({ tally, batchMs }: SummaryFacts): string[] {
  const { documents, accepted, escalated, failed, reasons } = tally;
  const rate = (documents * 1_000) / batchMs;
  const why = [...reasons].map(([reason, count]) => `${number(count)} ${reason}`).join(', ');
  return [
    line(
      'documents',
      `${number(documents)} in ${duration(batchMs)} (${rate.toFixed(0)}/s), ${number(failed)} without an answer`,
    ),
    line('accepted', `${number(accepted)} drafts (${percent(accepted, documents)})`),
    line(
      'escalated',
      `${number(escalated)} to the expert (${percent(escalated, documents)})${why === '' ? '' : `: ${why}`}`,
    ),
  ];
}

/** A plain cascade's expert would have read the same and written about as much as the drafts have. */
function valuedLines({ tally: { valued } }: SummaryFacts): string[] {
  const { documents, values, taken, drafts } = valued;
  if (documents === 0) return [];
  const saved = percent(drafts.outputTokens - taken.outputTokens, drafts.outputTokens);
  return [
    line(
      'values only',
      `the expert was asked for ${number(values)} unsure values of ${number(documents)} drafts: ` +
        `${number(taken.outputTokens)} tokens written instead of about ${number(drafts.outputTokens)} (${saved} less)`,
    ),
  ];
}

function accuracyLines({ tally, singleModels }: SummaryFacts): string[] {
  if (tally.correct === null || singleModels === null)
    return [line('accuracy', 'unknown: these documents came without the truth')];
  const { documents } = tally;
  const of = (correct: number): string => percent(correct, documents);
  return [
    line(
      'accuracy',
      `drafter only ${of(singleModels.drafter.correct)}, cascade ${of(tally.correct)}, expert only ${of(singleModels.expert.correct)}`,
    ),
  ];
}

/** Where the expert was not asked for everything, its tokens are taken to be the drafter's: they read the same. */
function moneyLines({ tally, singleModels }: SummaryFacts): string[] {
  const { drafter, expert } = DEMO;
  const cascade = usd(tally.drafter, drafter.price) + usd(tally.expert, expert.price);
  const allExpert = usd(singleModels?.expert.tokens ?? tally.drafter, expert.price);
  const saved = allExpert === 0 ? 0 : Math.round(100 * (1 - cascade / allExpert));
  const how = singleModels === null ? 'estimated all-expert' : 'all-expert';
  const compared = saved < 0 ? `${-saved} % more` : `${saved} % less`;
  const { documents, taken, drafts } = tally.valued;
  const plain = cascade - usd(taken, expert.price) + usd(drafts, expert.price);
  return [
    line('money', `${money(cascade)} against ${money(allExpert)} ${how}: ${compared} (at the demo's list prices)`),
    ...(documents === 0 ? [] : [line('', `a plain cascade, whose expert answers from scratch: ${money(plain)}`)]),
  ];
}

function timeLines({ fastMs, slowMs }: Tally): string[] {
  const times = (values: readonly number[]): string =>
    `median ${duration(quantile(values, 0.5))}, p95 ${duration(quantile(values, 0.95))}`;
  return [
    line('fast path', `${times(fastMs)} (accepted; from enqueueing to the answer, queues included)`),
    line('slow path', `${times(slowMs)} (escalated)`),
  ];
}

/** What it cost the escalated documents that the drafter answered them first. */
function waitLines({ waits, slowMs }: Tally): string[] {
  if (waits.length === 0) return [];
  const sequential = waits.map((wait) => wait.sequentialMs);
  const median = (pick: (wait: Tally['waits'][number]) => number): string =>
    duration(
      quantile(
        waits.map((wait) => pick(wait)),
        0.5,
      ),
    );
  const parts = [
    `drafter's queue ${median((wait) => wait.drafterQueueMs)}`,
    `draft ${median((wait) => wait.draftMs)}`,
    `hand-off ${median((wait) => wait.handOffMs)}`,
    `expert's queue ${median((wait) => wait.expertQueueMs)}`,
  ];
  return [
    line(
      'sequential wait',
      `p50 ${duration(quantile(sequential, 0.5))}, p95 ${duration(quantile(sequential, 0.95))}, ` +
        `${percent(sum(sequential), sum(slowMs))} of the escalated documents' time`,
    ),
    line('', `at the median: ${parts.join(', ')}`),
  ];
}

function fileLines({ output, errors }: SummaryFacts['files']): string[] {
  return [
    ...(output === null ? [] : [line('output file', output)]),
    ...(errors === null ? [] : [line('error file', errors)]),
  ];
}
