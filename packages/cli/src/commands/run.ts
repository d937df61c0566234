import { LIMITS } from '@spillway/core';
import { Option, type Command } from 'commander';
import { UserError } from '../client.ts';
import type { Context } from '../context.ts';
import { KINDS, type Kind } from '../documents/source.ts';
import { EXIT } from '../exit-codes.ts';
import { formatOf } from '../rows/format.ts';
import type { RunOptions } from '../run/options.ts';
import { label, number, share, thresholds, wholeNumber } from './options.ts';

type Given = {
  readonly cascade?: string;
  readonly prompt?: string;
  readonly system?: string;
  readonly schema?: string;
  readonly temperature?: number;
  readonly maxTokens?: number;
  readonly id?: string;
  readonly from?: Kind;
  readonly onUnreadable: 'skip' | 'stop';
  readonly out?: string;
  readonly escapeFormulas?: true;
  readonly maxUsd?: number;
  readonly window: string;
  readonly name?: string;
  readonly state?: string;
  readonly promise?: number;
  readonly certainty?: number;
  readonly budget?: number;
  readonly acceptAt?: readonly number[];
  readonly metadata: Readonly<Record<string, string>>;
  readonly pilot?: number;
  readonly yes?: true;
  readonly json?: true;
};

const EXAMPLES = `
A document is a text, Markdown, HTML or PDF file, or a row of a CSV, Parquet or JSON lines file; of a folder all files are
taken. {{text}} in the prompt is a file's text, {{NAME}} a column; a prompt is a file or the text itself.

  spillway run letters/ --prompt 'Who wrote this? {{text}}' --out writers.csv
  spillway run orders.csv --prompt prompt.md --schema order.json --id order_no --out orders.parquet
  spillway run orders.csv --prompt prompt.md --promise 95% --out orders.csv      95 % as the expert would, for less
  spillway run letters/ --prompt prompt.md --state .answers --out writers.csv    again: only what changed is asked
  cat tickets.jsonl | spillway run - --prompt 'Urgent? {{body}}' --yes > urgent.jsonl`;

export function addRun(program: Command, context: Context): void {
  withOptions(program.command('run <files...>'))
    .description('answer documents: files, folders, tables, or - for standard input')
    .option('-y, --yes', 'do not ask whether it may cost money')
    .addHelpText('after', EXAMPLES)
    .action(async (paths: string[], given: Given) => {
      const { runBatch } = await import('../run/run.ts');
      process.exitCode = await runBatch(optionsOf(paths, given, true), context);
    });
  withOptions(program.command('estimate <files...>'))
    .description('what a run would cost and take, without running it; takes the options of run')
    .option(
      '--pilot <documents>',
      'ask about so many and pay for them, so that the estimate is a good one',
      wholeNumber(1, LIMITS.pilotDocuments),
    )
    .action(async (paths: string[], given: Given) => {
      const { estimateRun } = await import('../run/run.ts');
      process.exitCode = await estimateRun(optionsOf(paths, given, false), context);
    });
}

const withOptions = (command: Command): Command =>
  command
    .option('-c, --cascade <name>', 'the cascade; where there is only one, that one')
    .option('-p, --prompt <file or text>', "what to ask, with {{text}} or {{columns}} (default: the document's text)")
    .option('-o, --out <file>', 'where the results go: a name that ends with .csv, .jsonl or .parquet')
    .option('--schema <file>', 'a JSON schema of the answers; its fields become columns')
    .option('--system <file or text>', 'the system message')
    .option('--id <column>', 'the column with the ids of rows (default: custom_id, or their places)')
    .option('--state <folder>', 'remember answers there: a run of the same documents asks only for what changed')
    .addOption(
      new Option(
        '--promise <share>',
        'answers that are to be what the expert would say, such as 95%; finds the threshold',
      )
        .argParser(share)
        .conflicts(['budget', 'acceptAt']),
    )
    .option('--certainty <share>', 'of the promise (default: 95%)', share)
    .addOption(
      new Option('--budget <share>', 'documents that go to the expert, such as 20%; finds the threshold')
        .argParser(share)
        .conflicts('acceptAt'),
    )
    .option('--accept-at <confidence>', 'the threshold, or one for each stage that judges: 0.9,0.8', thresholds)
    .option('--max-usd <amount>', 'end the batch once it has cost that', number(0, 1e9))
    .addOption(new Option('--on-unreadable <what>', 'what cannot be read').choices(['skip', 'stop']).default('skip'))
    .addOption(new Option('--from <kind>', 'what the files are, whatever they are called').choices(KINDS))
    .option('--temperature <number>', 'of the models', number(0, 2))
    .option('--max-tokens <number>', 'of an answer', wholeNumber(1, 1_000_000))
    .option('--window <time>', 'within which it has to be done, such as 90m, 24h, 7d', '24h')
    .option('--name <text>', 'what spillway list calls it (default: the files)')
    .option('--metadata <key=value>', 'a label or setting of the batch, such as team=billing', label, {})
    .option('--escape-formulas', 'CSV: an apostrophe before what a spreadsheet would take for a formula')
    .option('--json', 'what became of it as JSON on standard output');

/** How the thresholds are found, as the API takes it. */
function thresholdSettings({ promise, certainty, budget, acceptAt }: Given): Record<string, string> {
  if (certainty !== undefined && promise === undefined)
    throw new UserError('--certainty is of a --promise', { exitCode: EXIT.usage });
  const of = certainty === undefined ? '' : `,certainty=${certainty}`;
  if (promise !== undefined) return { 'spillway.promise': `agreement=${promise}${of}` };
  if (budget !== undefined) return { 'spillway.budget': `expert_share=${budget}` };
  return acceptAt === undefined ? {} : { 'spillway.accept_at': acceptAt.join(',') };
}

function optionsOf(paths: readonly string[], given: Given, isRun: boolean): RunOptions {
  const { out, json, maxUsd } = given;
  const isShown = process.stdout.isTTY;
  if (isRun && out === undefined && (isShown || json === true))
    throw new UserError('--out says where the results go, such as --out results.csv', { exitCode: EXIT.usage });
  return {
    paths,
    cascade: given.cascade ?? null,
    prompt: given.prompt ?? null,
    system: given.system ?? null,
    schema: given.schema ?? null,
    temperature: given.temperature ?? null,
    maxTokens: given.maxTokens ?? null,
    id: given.id ?? null,
    from: given.from ?? null,
    onUnreadable: given.onUnreadable,
    out: out ?? null,
    format: out === undefined ? 'jsonl' : formatOf(out),
    escapesFormulas: given.escapeFormulas === true,
    maxUsd: maxUsd === undefined ? null : String(maxUsd),
    window: given.window,
    name: given.name ?? null,
    state: given.state ?? null,
    metadata: { ...thresholdSettings(given), ...given.metadata },
    pilot: given.pilot ?? null,
    isConfirmed: given.yes === true,
    isJson: json === true,
  };
}
