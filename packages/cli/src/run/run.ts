import { resolve } from 'node:path';
import { z } from 'zod';
import { bytes, count, counted } from '@spillway/core/amounts';
import { endWords } from '../batch/progress-text.ts';
import { promiseLines } from '../batch/promise-text.ts';
import { batchObject, type BatchReport } from '../batch/report-object.ts';
import { failureOf, watchBatch } from '../batch/watch.ts';
import { Refused, UserError, type ApiClient } from '../client.ts';
import type { Context } from '../context.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { Interrupted, watchInterrupt } from '../interrupt.ts';
import { checkWritable } from '../rows/sink.ts';
import type { Terminal } from '../terminal.ts';
import { Answers } from './answers.ts';
import { isAgreed, nobodyToAsk } from './consent.ts';
import { estimateBatch } from './estimate.ts';
import { finishRun, tellFinished, type Finished } from './finish.ts';
import { RunFolder, type RunRecord } from './folder.ts';
import { gather, type Tally } from './gather.ts';
import type { RunOptions } from './options.ts';
import { RequestMaker } from './request.ts';
import { fieldsOfSchema, readSchema } from './schema.ts';

/** Between two words of how much was read. */
const TELL_DOCUMENTS = 1_000;

/** What a run works with. */
type Run = {
  readonly options: RunOptions;
  readonly context: Context;
  readonly api: ApiClient;
  readonly terminal: Terminal;
  readonly signal: AbortSignal;
};

/** From documents to results: read, ask whether it may cost money, upload, watch, join. */
export async function runBatch(options: RunOptions, context: Context): Promise<ExitCode> {
  using interrupt = watchInterrupt();
  const { terminal } = context;
  if (!options.isConfirmed && !terminal.canAsk) throw nobodyToAsk();
  if (options.out !== null) checkWritable(options.out);
  const run: Run = { options, context, api: context.api(), terminal, signal: interrupt.signal };
  const cascade = await cascadeOf(run.api, options.cascade);
  await resumeOpen(run);
  const folder = await RunFolder.make(context.env);
  try {
    const prepared = await prepare(run, folder, cascade);
    if (prepared.tally.asked === 0) return await finishWithoutBatch(run, folder, prepared.record);
    const record = await order(run, folder, prepared);
    if (record === null) return EXIT.failed;
    return await watchAndFinish(run, folder, record);
  } finally {
    if (!folder.isOrdered) await folder.remove();
  }
}

/** What a run would cost, by the API. */
export async function estimateRun(options: RunOptions, context: Context): Promise<ExitCode> {
  using interrupt = watchInterrupt();
  const { terminal } = context;
  const run: Run = { options, context, api: context.api(), terminal, signal: interrupt.signal };
  const folder = await RunFolder.make(context.env);
  try {
    const { tally, record } = await prepare(run, folder, await cascadeOf(run.api, options.cascade));
    for (const line of tallyLines(tally, record.cascade)) terminal.say(line);
    const file = await upload(run, folder);
    try {
      const estimate = await estimateBatch(run.api, { ...record.create, input_file_id: file }, options.pilot);
      if (estimate === null) throw new UserError('this API gives no estimates: it is older than this command');
      if (options.isJson) terminal.out(JSON.stringify(estimate.sent));
      else for (const line of estimate.lines) terminal.out(line);
    } finally {
      await run.api.remove(file);
    }
    return EXIT.done;
  } finally {
    await folder.remove();
  }
}

const models = z.object({ data: z.array(z.object({ id: z.string() })) });

/** The cascade that was asked for, or the only one. */
async function cascadeOf(api: ApiClient, asked: string | null): Promise<string> {
  const names = models.parse(await api.get('/models')).data.map(({ id }) => id);
  const [only] = names;
  if (asked === null && names.length === 1 && only !== undefined) return only;
  if (asked !== null && names.includes(asked)) return asked;
  const there = `there ${names.length === 1 ? 'is' : 'are'} ${names.join(', ')}`;
  throw new UserError(asked === null ? `name one with --cascade: ${there}` : `there is no cascade ${asked}: ${there}`, {
    exitCode: EXIT.usage,
  });
}

type Prepared = { readonly tally: Tally; readonly record: RunRecord };

/** Reads the documents; what will be asked lies in the folder. */
async function prepare(run: Run, folder: RunFolder, cascade: string): Promise<Prepared> {
  const { options, terminal, signal } = run;
  const maker = new RequestMaker(cascade, options);
  const fields = options.schema === null ? null : fieldsOfSchema(readSchema(options.schema));
  await using answers = options.state === null ? null : await Answers.open(options.state);
  const tally = await gather({
    options,
    folder,
    maker,
    answers,
    signal,
    onUnreadable: (line) => terminal.say(line),
    onDocument: (documents) => {
      if (documents % TELL_DOCUMENTS === 0 && documents > 0)
        terminal.live([`reading: ${counted(documents, 'document')}`]);
    },
  });
  terminal.clear();
  if (tally.asked + tally.remembered === 0)
    throw new UserError(`no document can be read in ${options.paths.join(', ')}`);
  const { out, format, escapesFormulas, maxUsd, window, state } = options;
  const metadata = {
    ...options.metadata,
    name: (options.name ?? options.paths.join(' ')).slice(0, 512),
    ...(maxUsd === null ? {} : { 'spillway.max_usd': maxUsd }),
  };
  const record: RunRecord = {
    batch: null,
    key: crypto.randomUUID(),
    create: { endpoint: tally.endpoint, completion_window: window, metadata },
    out: out === null ? null : resolve(out),
    format,
    escapesFormulas,
    columns: [...tally.columns],
    idColumn: tally.idColumn,
    fields,
    state: state === null ? null : resolve(state),
    cascade,
  };
  return { tally, record };
}

/** What was read, for people. */
function tallyLines({ asked, remembered, kinds, unreadable, requestBytes }: Tally, cascade: string): string[] {
  const of = [...kinds].map(([kind, many]) => `${count(many)} ${kind}`).join(', ');
  return [
    `${counted(asked + remembered, 'document')} (${of})${unreadable === 0 ? '' : `, ${count(unreadable)} unreadable and skipped`}`,
    ...(remembered === 0 ? [] : [`${count(remembered)} were answered before and are not asked about again`]),
    `to ask: ${counted(asked, 'document')} by the cascade ${cascade}, ${bytes(requestBytes)}`,
  ];
}

async function finishWithoutBatch(
  { api, terminal, options }: Run,
  folder: RunFolder,
  record: RunRecord,
): Promise<ExitCode> {
  terminal.say('Nothing is to be asked: all of it was answered before.');
  const finished = await finishRun({ api, folder, run: record });
  if (options.isJson) tellJson(terminal, { batch: null, finished, out: record.out });
  return tellFinished(finished, { out: options.out, report: null, terminal });
}

async function upload({ api, terminal, signal }: Run, folder: RunFolder): Promise<string> {
  terminal.live(['uploading']);
  const file = await api.upload(folder.requests, signal);
  terminal.clear();
  return file;
}

/** Uploads, asks for consent and makes the batch; null: nobody agreed. */
async function order(run: Run, folder: RunFolder, { tally, record }: Prepared): Promise<RunRecord | null> {
  const { api, terminal, signal, options } = run;
  for (const line of tallyLines(tally, record.cascade)) terminal.say(line);
  const file = await upload(run, folder);
  const create = { ...record.create, input_file_id: file };
  let isOrdered = false;
  try {
    const estimate = await estimateBatch(api, create);
    for (const line of estimate?.lines ?? []) terminal.say(line);
    const cap = options.maxUsd === null ? '' : ` for at most $${options.maxUsd}`;
    const question = `Ask about ${counted(tally.asked, 'document')}${cap}?`;
    if (!options.isConfirmed && !(await isAgreed(question, signal))) {
      terminal.say('Nothing was asked.');
      return null;
    }
    signal.throwIfAborted();
    const ordered: RunRecord = { ...record, create };
    // From here on the batch may be there, whoever dies.
    isOrdered = true;
    await folder.write(ordered);
    return await createBatch(api, folder, ordered);
  } finally {
    if (!isOrdered) await api.remove(file).catch(() => undefined);
  }
}

/** Makes the batch of a record, once, however often this is called. */
async function createBatch(api: ApiClient, folder: RunFolder, record: RunRecord): Promise<RunRecord> {
  const asked = { headers: { 'Idempotency-Key': record.key } };
  const sent = await api.post('/batches', record.create, asked).catch(async (error: unknown) => {
    // What was refused is not there.
    if (error instanceof Refused) await folder.remove();
    throw error;
  });
  const made = { ...record, batch: batchObject.pick({ id: true }).parse(sent).id };
  await folder.write(made);
  await folder.removeRequests();
  return made;
}

async function watchAndFinish(run: Run, folder: RunFolder, record: RunRecord): Promise<ExitCode> {
  const { api, terminal, signal, options } = run;
  const id = record.batch ?? '';
  terminal.say(`${id} is under way; Ctrl-C stops looking, and it goes on`);
  const report = await watchBatch(id, { api, terminal, signal, onReport: null }).catch((error: unknown) => {
    terminal.clear();
    if (!(error instanceof Interrupted)) throw error;
    const then = record.out === null ? '' : ` and then writes ${options.out ?? record.out}`;
    throw new Interrupted(`${id} goes on. spillway watch ${id} shows it${then}; spillway cancel ${id} ends it`);
  });
  if (report.status === 'failed') {
    await folder.remove();
    throw await failureOf(api, id);
  }
  for (const line of [endWords(report), ...promiseLines(report)]) terminal.say(line);
  const finished = await finishRun({ api, folder, run: record });
  if (options.isJson) tellJson(terminal, { batch: report, finished, out: record.out });
  return tellFinished(finished, { out: options.out, report, terminal });
}

type Told = { readonly batch: BatchReport | null; readonly finished: Finished; readonly out: string | null };

function tellJson(terminal: Terminal, { batch, finished, out }: Told): void {
  const { id = null, status = null, thresholds = [], audits = [] } = batch ?? {};
  const money = batch?.progress.spent_usd ?? null;
  terminal.out(JSON.stringify({ batch: id, status, ...finished, spent_usd: money, thresholds, audits, out }));
}

/** Goes on with what an earlier run with the same folder of answers began, so that nothing is paid for twice. */
async function resumeOpen(run: Run): Promise<void> {
  const { api, terminal, context, options } = run;
  const state = options.state === null ? null : resolve(options.state);
  if (state === null) return;
  for (const { folder, run: record } of await RunFolder.all(context.env)) {
    if (record.state !== state) continue;
    const made = record.batch === null ? await createBatch(api, folder, record) : record;
    terminal.say(`${made.batch ?? ''} of an earlier run is finished first`);
    await watchAndFinish(run, folder, made);
  }
}
