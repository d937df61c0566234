import { Option, type Command } from 'commander';
import {
  ConditionError,
  holds,
  isResultField,
  parseWhere,
  RESULT_FIELDS,
  resultFields,
  type Condition,
} from '@spillway/core';
import { count, counted } from '@spillway/core/amounts';
import { UserError, type ApiClient } from '../client.ts';
import type { Context } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { readResults, takeLine } from '../results.ts';
import { FORMATS, formatOf, type Format } from '../rows/format.ts';
import { layoutOf, type Joined } from '../rows/layout.ts';
import { openFile, openStdout } from '../rows/sink.ts';
import { openWriter } from '../rows/writer.ts';
import { fieldsOfSchema, readSchema } from '../run/schema.ts';

const LINES_AT_A_TIME = 500;

type Options = {
  readonly where?: string;
  readonly format?: Format;
  readonly out?: string;
  readonly schema?: string;
  readonly retries?: true;
  readonly escapeFormulas?: true;
};

const FIELDS_HELP = `
Fields of --where:
${Object.entries(RESULT_FIELDS)
  .map(([name, says]) => `  ${name.padEnd(14)} ${says}`)
  .join('\n')}
Compare with = != < <= > >= and ~ (contains) !~, join with and, or, not and brackets; texts with spaces stand in quotes.
JSON lines are the API's own lines, whole; CSV and Parquet have a column for each field.`;

export function addResults(program: Command, context: Context): void {
  program
    .command('results <batch>')
    .description('the results of a batch in input order, those of finished pages also while it runs')
    .option('-w, --where <condition>', "which ones, such as 'confidence < .8 and role = expert'")
    .addOption(new Option('-f, --format <format>', 'by default what --out says, else jsonl').choices(FORMATS))
    .option('-o, --out <file>', 'where they go; standard output without it')
    .option('--schema <file>', 'the JSON schema of the answers: its fields become columns')
    .option('--retries', 'with what retries of the batch answered in place of failures')
    .option('--escape-formulas', 'CSV: an apostrophe before what a spreadsheet would take for a formula')
    .addHelpText('after', FIELDS_HELP)
    .action(async (id: string, options: Options) => writeResults(id, options, context));
}

async function writeResults(id: string, options: Options, { terminal, api: open }: Context): Promise<void> {
  const { where, out, schema, escapeFormulas } = options;
  const condition = where === undefined ? null : conditionOf(where);
  const format = options.format ?? (out === undefined ? 'jsonl' : formatOf(out));
  const fields = schema === undefined ? null : fieldsOfSchema(readSchema(schema));
  const { columns, rowOf } = layoutOf([], fields);
  const api = open();
  const found = { lines: 0, taken: 0, isAll: false };
  const sink = out === undefined ? openStdout() : openFile(out);
  const writer =
    format === 'jsonl' ? null : await openWriter(format, sink, { columns, escapesFormulas: escapeFormulas === true });
  try {
    for await (const value of taken(api, id, { condition, withRetries: options.retries === true, found })) {
      await (writer === null ? sink.write(`${JSON.stringify(value)}\n`) : writer.write(rowOf(joinedOf(value))));
    }
    await (writer ?? sink).end();
  } catch (error) {
    await (writer ?? sink).abandon();
    throw error;
  }
  const some = condition === null ? '' : `${count(found.taken)} of `;
  const soFar = found.isAll ? '' : ' so far (the batch goes on)';
  if (out !== undefined || !found.isAll)
    terminal.say(`${some}${counted(found.lines, 'result')}${soFar}${out === undefined ? '' : ` in ${out}`}`);
}

/** What `--where` says. */
function conditionOf(where: string): Condition {
  try {
    return parseWhere(where, isResultField);
  } catch (error) {
    if (!(error instanceof ConditionError)) throw error;
    throw new UserError(`--where: ${error.message} (spillway results --help names the fields)`, {
      exitCode: EXIT.usage,
    });
  }
}

type Take = {
  readonly condition: Condition | null;
  readonly withRetries: boolean;
  readonly found: { lines: number; taken: number; isAll: boolean };
};

async function* taken(api: ApiClient, id: string, { condition, withRetries, found }: Take): AsyncGenerator {
  for await (const { lines, isAll } of readResults(api, id, { limit: LINES_AT_A_TIME, withRetries })) {
    for (const value of lines) {
      found.lines += 1;
      if (condition !== null && !holds(condition, resultFields(takeLine(value)))) continue;
      found.taken += 1;
      yield value;
    }
    found.isAll = isAll;
  }
}

function joinedOf(value: unknown): Joined {
  const result = takeLine(value);
  return { id: result.custom_id ?? '', input: {}, result, problem: null };
}
