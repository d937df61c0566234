import { Argument, Option, type Command } from 'commander';
import { z } from 'zod';
import { count, counted, dollars, range } from '@spillway/core/amounts';
import { batchObject } from '../batch/report-object.ts';
import { batchPath } from '../batch/watch.ts';
import { Refused, UserError } from '../client.ts';
import type { Context } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import type { Terminal } from '../terminal.ts';
import { share, thresholds } from './options.ts';

/** The commands that have the API change or make a batch and then show it. */
export function addChanges(program: Command, { terminal, api }: Context): void {
  program
    .command('cancel <batch>')
    .description('end a batch; what is finished stays')
    .option('--json', 'the batch object')
    .action(async (id: string, { json }: { json?: true }) => {
      show(terminal, await api().post(`${batchPath(id)}/cancel`, {}), json, 'is being cancelled');
    });
  for (const [name, says, done] of [
    ['pause', 'ask nothing more of a batch for now; its window runs on', 'is paused'],
    ['resume', 'have a paused batch go on', 'goes on'],
  ] as const) {
    program
      .command(`${name} <batch>`)
      .description(says)
      .option('--json', 'the batch object')
      .action(async (id: string, { json }: { json?: true }) => {
        show(terminal, await api().post(`${batchPath(id)}/${name}`, {}), json, done);
      });
  }
  program
    .command('priority <batch>')
    .description('have a batch go before your others, or as all of them')
    .addArgument(new Argument('<priority>').choices(['high', 'normal']))
    .option('--json', 'the batch object')
    .action(async (id: string, priority: string, { json }: { json?: true }) => {
      const sent = await api().post(`${batchPath(id)}/priority`, { priority });
      show(terminal, sent, json, priority === 'high' ? 'goes first' : 'goes as all others');
    });
  program
    .command('retry <batch>')
    .description('make a new batch of the documents of an ended one that have no answer')
    .option('--window <time>', 'within which it has to be done, such as 90m, 24h, 7d')
    .option('--json', 'the new batch object')
    .action(async (id: string, { json, window }: { json?: true; window?: string }) => {
      const body = window === undefined ? {} : { completion_window: window };
      show(terminal, await api().post(`${batchPath(id)}/retry`, body), json, `asks again what failed in ${id}`);
    });
  addRedecide(program, { terminal, api });
}

type Redecide = {
  readonly acceptAt?: readonly number[];
  readonly promise?: number;
  readonly budget?: number;
  readonly certainty?: number;
  readonly escalate?: string;
  readonly askAgain?: string;
  readonly preview?: true;
  readonly json?: true;
};

function addRedecide(program: Command, { terminal, api }: Pick<Context, 'terminal' | 'api'>): void {
  program
    .command('redecide <batch>')
    .description('decide an ended batch by another threshold: a new batch, which asks only for the difference')
    .addOption(
      new Option('--accept-at <confidence>', 'the threshold, or one for each stage that judges: 0.9,0.8')
        .argParser(thresholds)
        .conflicts(['promise', 'budget']),
    )
    .addOption(
      new Option('--promise <share>', 'answers that are to be what the expert would say, such as 95%')
        .argParser(share)
        .conflicts('budget'),
    )
    .addOption(
      new Option(
        '--escalate <condition>',
        'have the drafts go on of which this holds, as results --where says it',
      ).conflicts(['acceptAt', 'promise', 'budget', 'askAgain']),
    )
    .addOption(
      new Option(
        '--ask-again <condition>',
        'ask about the documents again of whose results this holds, from the first stage on',
      ).conflicts(['acceptAt', 'promise', 'budget']),
    )
    .option('--certainty <share>', 'of the promise (default: 95%)', share)
    .option('--budget <share>', 'documents that go to the expert, such as 20%', share)
    .option('--preview', 'only say what would come of it')
    .option('--json', 'the new batch object, or the preview')
    .action(async (id: string, { json, preview, ...wished }: Redecide) => {
      const body = redecideBody(wished);
      const path = `${batchPath(id)}/redecide${preview === true ? '?preview=true' : ''}`;
      const sent = await api()
        .post(path, body)
        .catch((error: unknown) => {
          throw isUnknownRoute(error)
            ? new UserError('this API cannot redecide: it is older than this command')
            : error;
        });
      if (preview !== true) return show(terminal, sent, json, `decides ${id} again`);
      if (json) return terminal.out(JSON.stringify(sent));
      for (const line of previewLines(sent)) terminal.out(line);
    });
}

/** What the API is asked by. */
function redecideBody({ acceptAt, promise, budget, certainty, escalate, askAgain }: Redecide): object {
  if (escalate !== undefined) return { escalate };
  if (askAgain !== undefined) return { ask_again: askAgain };
  if (acceptAt !== undefined) return { accept_at: acceptAt.length === 1 ? acceptAt[0] : acceptAt };
  if (promise !== undefined)
    return { promise: { agreement: promise, ...(certainty === undefined ? {} : { certainty }) } };
  if (budget !== undefined) return { budget: { expert_share: budget } };
  throw new UserError('by what? --accept-at, --promise, --budget, --escalate or --ask-again says it', {
    exitCode: EXIT.usage,
  });
}

function show(terminal: Terminal, sent: unknown, json: true | undefined, verb: string): void {
  const { id, status } = batchObject.pick({ id: true, status: true }).parse(sent);
  terminal.out(json ? JSON.stringify(sent) : `${id} ${verb}: ${status}`);
}

/** The API's word for a path that it does not have. */
const isUnknownRoute = (error: unknown): boolean => error instanceof Refused && error.code === 'unknown_url';

const previewObject = z.object({
  documents: z.object({ total: z.number(), kept: z.number(), asked: z.number(), drafted_again: z.number() }),
  usd: z.object({ least: z.number(), most: z.number() }).nullable(),
});

function previewLines(sent: unknown): string[] {
  const { documents, usd } = previewObject.parse(sent);
  const { total, kept, asked, drafted_again: again } = documents;
  const drafted = again === 0 ? '' : ` (${count(again)} of them drafted again)`;
  const cost = usd === null ? '' : `, for about ${range(dollars(usd.least), dollars(usd.most))}`;
  return [
    `of ${counted(total, 'document')} ${count(kept)} answers stay; ${count(asked)} would be asked about${drafted}${cost}`,
  ];
}
