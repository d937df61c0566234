import type { Command } from 'commander';
import { isInDoubt, promiseLines } from '../batch/promise-text.ts';
import { endWords, holdLines } from '../batch/progress-text.ts';
import type { BatchReport } from '../batch/report-object.ts';
import { failureOf, watchBatch } from '../batch/watch.ts';
import type { Context } from '../context.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { Interrupted, watchInterrupt } from '../interrupt.ts';
import { finishRunOf } from '../run/finish.ts';

export function addWatch(program: Command, context: Context): void {
  program
    .command('watch <batch>')
    .description('show how far a batch is until it has ended; of an interrupted run also write its results')
    .option('--json', 'the report at each look, one a line')
    .addHelpText('after', '\nCtrl-C stops looking; the batch goes on.')
    .action(async (id: string, { json }: { json?: true }) => {
      process.exitCode = await watchToEnd(id, context, json === true);
    });
}

async function watchToEnd(id: string, { terminal, ...context }: Context, isJson: boolean): Promise<ExitCode> {
  const api = context.api();
  using interrupt = watchInterrupt();
  const onReport = isJson ? (sent: unknown): void => terminal.out(JSON.stringify(sent)) : null;
  const report = await watchBatch(id, { api, terminal, signal: interrupt.signal, onReport }).catch((error: unknown) => {
    terminal.clear();
    if (!(error instanceof Interrupted)) throw error;
    throw new Interrupted(`${id} goes on: spillway watch ${id}`);
  });
  if (report.status === 'failed') throw await failureOf(api, id);
  if (!isJson) {
    for (const line of [endWords(report), ...promiseLines(report)]) terminal.say(line);
    for (const line of holdLines(report, Date.now())) terminal.say(line);
  }
  const finished = await finishRunOf(id, { ...context, terminal, api });
  return finished ?? exitOf(report);
}

/** Of a batch that has ended. */
function exitOf(report: BatchReport): ExitCode {
  const { completed, total } = report.documents;
  if (completed < total) return EXIT.unanswered;
  return isInDoubt(report) ? EXIT.inDoubt : EXIT.done;
}
