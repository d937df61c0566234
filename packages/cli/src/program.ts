import { Command, CommanderError } from 'commander';
import { addCalibrate } from './calibrate/command.ts';
import { UserError } from './client.ts';
import { addChanges } from './commands/change.ts';
import { addCompletion } from './commands/completion.ts';
import { addList } from './commands/list.ts';
import { addOpen } from './commands/open.ts';
import { addOutside } from './commands/outside.ts';
import { addReport } from './commands/report.ts';
import { addResults } from './commands/results.ts';
import { addReviews } from './commands/reviews.ts';
import { addRun } from './commands/run.ts';
import { addWatch } from './commands/watch.ts';
import type { Context } from './context.ts';
import { EXIT } from './exit-codes.ts';
import { addShow } from './trace/command.ts';

const AFTER = `
Where the API is: SPILLWAY_URL (http://127.0.0.1:8080), and SPILLWAY_API_KEY where it wants a key; or both in
~/.config/spillway/config.json as {"url": "…", "api_key": "…"}.

Exit codes: 0 done, 1 not done (a line says why), 2 the command line is wrong, 3 the batch has ended and not every
document has an answer, 130 Ctrl-C (a batch that was created goes on).`;

/** Runs one command line; what it ends with. */
export async function runCommand(args: readonly string[], context: Context): Promise<number> {
  const { terminal } = context;
  try {
    await programOf(context).parseAsync([...args], { from: 'user' });
    return Number(process.exitCode ?? EXIT.done);
  } catch (error) {
    terminal.clear();
    // Help and what is wrong with the command line was written by the parser.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    if (!(error instanceof UserError)) throw error;
    terminal.say(`${terminal.paintSaid('red', 'spillway:')} ${error.message}`);
    return error.exitCode;
  }
}

/**
 * The commands and their options.
 * @internal exported for the tests of its documents
 */
export function programOf(context: Context): Command {
  const { terminal } = context;
  const program = new Command('spillway')
    .description(
      'Answers documents in bulk by cascades of models: a small one first, a large one where that is not sure.',
    )
    .version('0.1.0')
    .enablePositionalOptions()
    .exitOverride()
    .showSuggestionAfterError()
    .configureHelp({ styleTitle: (title) => terminal.paint('bold', title), showGlobalOptions: false })
    .configureOutput({
      outputError: (text, write) => write(text.replace(/^error: /, `${terminal.paintSaid('red', 'spillway:')} `)),
    })
    .showHelpAfterError('(spillway COMMAND --help says what it takes)')
    .addHelpText('after', AFTER);
  const groups = {
    'Batches:': [addRun, addList, addWatch, addResults, addShow, addReviews, addReport, addChanges],
    'Beside:': [addCalibrate, addOpen, addOutside, addCompletion],
  };
  for (const [title, adds] of Object.entries(groups)) {
    program.commandsGroup(title);
    for (const add of adds) add(program, context);
  }
  return program;
}
