import { createReadStream } from 'node:fs';
import { lineError, writtenId, type ResultLine } from '@spillway/core';
import { counted, count } from '@spillway/core/amounts';
import { isInDoubt } from '../batch/promise-text.ts';
import { isEnded, type BatchReport } from '../batch/report-object.ts';
import { readReport } from '../batch/watch.ts';
import { UserError, type ApiClient } from '../client.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { linesOf } from '../lines.ts';
import { readResults, takeLine } from '../results.ts';
import { layoutOf } from '../rows/layout.ts';
import { openFile, openStdout } from '../rows/sink.ts';
import { openWriter } from '../rows/writer.ts';
import type { Env } from '../settings.ts';
import type { Terminal } from '../terminal.ts';
import { Answers } from './answers.ts';
import { RunFolder, type RunRecord } from './folder.ts';
import { readGathered, type Gathered } from './gather.ts';

const LINES_AT_A_TIME = 500;

/** What came out of a run. */
export type Finished = { readonly answered: number; readonly unanswered: number };

type Finish = { readonly api: ApiClient; readonly folder: RunFolder; readonly run: RunRecord };

/**
 * Joins the documents of a run, in their order, to the results of its ended batch and to the answers that are remembered,
 * and writes them. Both come in the same order, so a few of each are in memory.
 */
export async function finishRun({ api, folder, run }: Finish): Promise<Finished> {
  const { out, format, columns, fields, idColumn, escapesFormulas, batch, state } = run;
  await using answers = state === null ? null : await Answers.open(state);
  const adder = answers?.adder();
  const layout = layoutOf(columns, fields, idColumn);
  const results = batch === null ? null : new ResultReader(api, batch);
  const sink = out === null ? openStdout() : openFile(out);
  const writer = await openWriter(format, sink, { columns: layout.columns, escapesFormulas });
  const finished = { answered: 0, unanswered: 0 };
  try {
    for await (const text of linesOf(createReadStream(folder.rows))) {
      const row = readGathered(text);
      const result =
        row.from === 'state'
          ? ((await answers?.lineOf(row.digest ?? '')) ?? null)
          : ((await results?.take(row)) ?? null);
      const isAnswered = result !== null && lineError(result) === null;
      if (isAnswered && row.from === 'batch' && row.digest !== null) await adder?.add(row.digest, result);
      finished[isAnswered ? 'answered' : 'unanswered'] += 1;
      const problem = row.problem ?? (result === null ? 'the batch has no result of it' : null);
      await writer.write(layout.rowOf({ id: row.id, input: row.input, result, problem }));
    }
    await adder?.flush();
    await writer.end();
  } catch (error) {
    await writer.abandon();
    if (!(error instanceof UserError) || batch === null) throw error;
    throw new UserError(`${error.message}; when that is mended, spillway watch ${batch} writes the results`, {
      cause: error,
    });
  }
  await folder.remove();
  return finished;
}

/** The result lines of a batch, one after the other. */
class ResultReader {
  readonly #lines: AsyncGenerator<ResultLine>;
  #next: ResultLine | null = null;

  constructor(api: ApiClient, batch: string) {
    this.#lines = resultLines(api, batch);
  }

  /** The result of a document, if it is the next one. */
  async take({ id, from }: Gathered): Promise<ResultLine | null> {
    if (from !== 'batch') return null;
    const next = this.#next ?? (await this.#lines.next()).value ?? null;
    const isOwn = next?.custom_id === writtenId(id);
    this.#next = isOwn ? null : next;
    return isOwn ? next : null;
  }
}

async function* resultLines(api: ApiClient, batch: string): AsyncGenerator<ResultLine, undefined> {
  for await (const { lines } of readResults(api, batch, { limit: LINES_AT_A_TIME })) yield* lines.map(takeLine);
}

/** Says where the results are; with what the command ends. */
export function tellFinished(
  { answered, unanswered }: Finished,
  {
    out,
    report,
    terminal,
  }: { readonly out: string | null; readonly report: BatchReport | null; readonly terminal: Terminal },
): ExitCode {
  const missing = unanswered === 0 ? '' : `, ${count(unanswered)} without an answer (column error)`;
  terminal.say(`${counted(answered + unanswered, 'row')} in ${out ?? 'standard output'}${missing}`);
  if (unanswered > 0) return EXIT.unanswered;
  return report !== null && isInDoubt(report) ? EXIT.inDoubt : EXIT.done;
}

/** Ends a run of this machine that was interrupted, once its batch has ended; null: the batch is none of such a run. */
export async function finishRunOf(
  batch: string,
  { env, api, terminal }: { readonly env: Env; readonly api: ApiClient; readonly terminal: Terminal },
): Promise<ExitCode | null> {
  const found = (await RunFolder.all(env)).find(({ run }) => run.batch === batch);
  if (found === undefined) return null;
  const { report } = await readReport(api, batch);
  if (!isEnded(report)) return null;
  return tellFinished(await finishRun({ api, ...found }), { out: found.run.out, report, terminal });
}
