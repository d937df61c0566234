import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KEYS, sampleFileId, sampleIdOf, type BatchObject } from '@spillway/core';
import { openLog } from '@spillway/runtime';
import { openStorage } from '@spillway/storage';
import { BadRequestError } from 'openai';
import { collectGarbage } from '../../services/dispatcher/src/garbage.ts';
import type { ModelRequest, Scripted } from '../support/model-server.ts';
import { requestLine } from '../support/request-line.ts';
import { sharedSystem } from '../support/shared-system.ts';
import { System, until } from '../support/system.ts';
import { says } from '../support/verdict-server.ts';

/** Documents are numbers; the expert says of each what it is. */
const numberIn = ({ body }: Pick<ModelRequest, 'body'>): number =>
  Number(/number (\d+)/.exec(JSON.stringify(body['messages']))?.[1]);
const right = (number: number): string => `number ${number}`;

/**
 * Drafts are wrong for every tenth number, and all as little sure there: a threshold takes all of the wrong ones, which
 * no sample lets pass, or none. With anything between them a test that asks for the promise would fail by design, now
 * and then.
 */
const isWrong = (number: number): boolean => number % 10 === 3;
const confidenceIn = (number: number): number => (isWrong(number) ? 0.3 : 0.6 + (number % 37) / 100);
const draftOf = (number: number): Scripted => ({
  kind: 'completion',
  text: isWrong(number) ? `number ${number + 1}` : right(number),
  logprobs: [Math.log(confidenceIn(number)), -1e-9],
});

/** The expert takes one number more for the same as the number, where it is asked. */
const expertOf = (request: ModelRequest): Scripted =>
  JSON.stringify(request.body).includes('Does it say the same')
    ? says('Y', 0.9)
    : { kind: 'completion', text: right(numberIn(request)) };

/** While it is there, drafters do not answer numbers from 200 on. */
let pause: Promise<void> | null = null;

const PROMISE = 'promise: { agreement: 0.95, certainty: 0.95 }';
const BUDGET = 'budget: { expert_share: 0.2 }';

const shared = sharedSystem(() =>
  System.start({
    drafter: {
      answer: async (request) => {
        if (numberIn(request) >= 200) await pause;
        return draftOf(numberIn(request));
      },
    },
    expert: { answer: expertOf },
    moreCascades: `  promised: { drafter: small, expert: large, accept_at: 0.9, ${PROMISE} }
  judged: { drafter: small, expert: large, accept_at: 0.9, ${PROMISE}, agreement: judge }
  kept: { drafter: small, expert: large, accept_at: 0.9, ${PROMISE}, agreement: judge, audit: { share: 1 } }
  budgeted: { drafter: small, expert: large, accept_at: 0.9, ${BUDGET}, annotate: false }
`,
  }),
);

const numbers = (count: number): string[] => Array.from({ length: count }, (_, at) => `what is number ${at}?`);

const accountOf = (batch: unknown): BatchObject['spillway'] => (batch as BatchObject).spillway;

/** How often the two models were asked since this was last called. */
const newCalls = ({ drafterModel, expertModel }: System): number[] =>
  [drafterModel, expertModel].map(({ requests }) => requests.splice(0).length);

test('a promise is given by a sample of the batch itself, whose answers are the batch’s', async () => {
  const system = await shared();
  newCalls(system);
  const { id } = await system.submit(numbers(1_000), { model: 'promised' });
  const batch = await system.settled(id);
  assert.deepEqual(batch.request_counts, { total: 1_000, completed: 1_000, failed: 0 });
  const [found] = accountOf(batch).thresholds;
  const [stage] = found?.stages ?? [];
  assert.ok(found !== undefined && stage !== undefined);
  assert.deepEqual([found.cascade, found.outcome, found.documents], ['promised', 'certified', 1_000]);
  assert.deepEqual(found.promise, { agreement: 0.95, certainty: 0.95, otherwise: 'expert' });
  assert.ok((stage.disagreements ?? 9) <= (stage.allowed ?? 0) && (stage.bound ?? 1) <= 0.05);
  const lines = await system.lines(batch.output_file_id);
  const sampled = lines.filter(({ cascade }) => cascade?.sampled === true);
  assert.equal(sampled.length, found.sampled);
  const escalated = lines.filter(({ cascade }) => cascade?.escalated === true);
  assert.deepEqual(newCalls(system), [1_000, escalated.length], 'nobody is asked twice');
  const agreeing = lines.filter(({ response }, at) => JSON.stringify(response).includes(`"${right(at)}"`));
  assert.ok(agreeing.length >= 950, String(agreeing.length));
  for (const { cascade } of lines) {
    assert.deepEqual(cascade?.certificate, { agreement: 0.95, certainty: 0.95 });
    assert.equal(cascade?.stages[0]?.accept_at, stage.accept_at);
  }
  const places = sampled.map(({ custom_id: name }) => Number(name.slice(4)));
  assert.ok(places.some((at) => at > 900) && places.some((at) => at < 100), 'no prefix');
  const report: { thresholds: object[]; escalated_share: number } = await system.client.get(`/batches/${id}/report`);
  assert.deepEqual(report.thresholds, [found]);
  assert.equal(report.escalated_share, escalated.length / 1_000);

  // By another threshold it is decided anew for the difference: what the sample said is known, too.
  const decided = async (acceptAt: number) => {
    const body = { accept_at: acceptAt };
    const made = await system.client.post<typeof batch>(`/batches/${id}/redecide`, { body });
    return await system.lines((await system.settled(made.id)).output_file_id);
  };
  const lowered = await decided(0.2);
  assert.ok(lowered.every(({ cascade }) => cascade?.stage === 1 && cascade.certificate === null));
  const stopped = lines.filter(({ cascade }) => cascade?.stages[0]?.stopped !== undefined);
  assert.ok(stopped.length < escalated.length - sampled.length / 2);
  assert.deepEqual(newCalls(system), [stopped.length, 0], 'nobody is asked, but drafts that were stopped');
  const raised = await decided(0.945);
  const between = lines.filter(({ cascade }) => cascade?.stage === 1 && (cascade.stages[0]?.confidence ?? 0) < 0.945);
  assert.deepEqual(newCalls(system), [0, between.length]);
  assert.ok(
    between.length > 10 && raised.every(({ cascade }, at) => (cascade?.stage === 2) === confidenceIn(at) < 0.945),
  );

  // Nobody sees the batch that was the sample.
  const sample = sampleIdOf(id);
  await assert.rejects(system.client.batches.retrieve(sample), { status: 404 });
  await assert.rejects(system.client.get(`/batches/${sample}/results`), { status: 404 });
  await assert.rejects(system.client.batches.cancel(sample), { status: 404 });
  const { data: batches } = await system.client.batches.list();
  assert.ok(!batches.some((one) => one.id === sample));
  await assert.rejects(system.client.files.retrieve(sampleFileId(sample)), { status: 404 });
  await assert.rejects(system.client.files.delete(sampleFileId(sample)), { status: 404 });
  const { data: files } = await system.client.files.list();
  assert.ok(!files.some(({ filename }) => filename.includes(sample)));

  // It goes with the batch's pages.
  await using storage = await openStorage(`file://${system.directory}/data`);
  const keys = [KEYS.manifest(sample), KEYS.page(sample, 0), KEYS.final(sample), KEYS.fileBytes(sampleFileId(sample))];
  const sizes = () => Promise.all(keys.map((key) => storage.size(key)));
  assert.ok((await sizes()).every((size) => size !== null));
  await system.client.files.delete(batch.output_file_id ?? '');
  const log = openLog('test', 'silent');
  const signal = new AbortController().signal;
  await collectGarbage({ storage, log, nowMs: Date.now() + 7_200_000, isShort: false, signal });
  assert.deepEqual(
    await sizes(),
    keys.map(() => null),
  );
});

test('while the sample is answered a batch is in progress, and says what it waits for; cancelled, it keeps what was answered', async () => {
  const system = await shared();
  const paused = Promise.withResolvers<void>();
  pause = paused.promise;
  const { id } = await system.submit(numbers(400), { model: 'promised' });
  const sampling = await system.settled(id, (batch) => accountOf(batch).thresholds.length > 0);
  assert.deepEqual([sampling.status, sampling.request_counts?.total], ['in_progress', 400]);
  const [found] = accountOf(sampling).thresholds;
  assert.deepEqual([found?.outcome, found?.stages], ['sampling', []]);
  // What it costs is spent, though no document of the batch is settled.
  await until(async () => {
    const { waiting, progress } = accountOf(await system.client.batches.retrieve(id));
    const [first] = waiting;
    const isSampling = first?.state === 'sampling' && first.reason.includes(`a sample of ${found?.sampled} documents`);
    return isSampling && !first.reason.includes(', 0 of') && (progress.spent_usd ?? 0) > 0;
  });
  pause = null;
  paused.resolve();
  await system.client.batches.cancel(id);
  const batch = await system.settled(id);
  const [output, errors] = [await system.lines(batch.output_file_id), await system.lines(batch.error_file_id)];
  assert.equal(output.length + errors.length, 400);
  assert.ok(batch.status === 'completed' || output.length > 0, 'what was paid for is delivered');
});

test('a budget is kept, without a word in lines that are not annotated', async () => {
  const system = await shared();
  newCalls(system);
  const { id } = await system.submit(numbers(500), { model: 'budgeted' });
  const batch = await system.settled(id);
  const [found] = accountOf(batch).thresholds;
  assert.deepEqual([found?.outcome, found?.budget, found?.sampled], ['budgeted', { expert_share: 0.2 }, 500]);
  const [drafted = 0, expert = 0] = newCalls(system);
  assert.equal(drafted, 500, 'nothing is drafted twice');
  assert.ok(Math.abs(expert / 500 - 0.2) < 0.03, String(expert));
  const lines = await system.lines(batch.output_file_id);
  assert.deepEqual(
    lines.map((line) => Object.keys(line)),
    lines.map(() => ['id', 'custom_id', 'response', 'error']),
  );
});

test('the expert says of drafts that are worded otherwise whether they mean the same', async () => {
  const system = await shared();
  newCalls(system);
  const { id } = await system.submit(numbers(300), { model: 'judged' });
  const batch = await system.settled(id);
  const [found] = accountOf(batch).thresholds;
  assert.deepEqual([found?.outcome, found?.stages[0]?.disagreements, found?.stages[0]?.accept_at], ['certified', 0, 0]);
  const lines = await system.lines(batch.output_file_id);
  const compared = lines.filter(({ cascade }, at) => cascade?.sampled === true && isWrong(at)).length;
  assert.ok(compared > 0);
  assert.deepEqual(newCalls(system), [300, (found?.sampled ?? 0) + compared]);
});

test('what the sample costs counts towards what the batch may cost', async () => {
  const system = await shared();
  const lines = numbers(1_000).map((prompt, at) => requestLine(prompt, `doc-${at}`, { model: 'promised' }));
  const file = await system.client.files.create({ file: new File([lines.join('\n')], 'a.jsonl'), purpose: 'batch' });
  const order = { endpoint: '/v1/chat/completions', completion_window: '24h', input_file_id: file.id } as const;
  // Some 40 of the sampled documents cost so much: each of the two models reads 5 tokens and writes 2.
  const metadata = { 'spillway.max_usd': '0.0007' };
  newCalls(system);
  const batch = await system.settled((await system.client.batches.create({ ...order, metadata })).id);
  assert.deepEqual([batch.status, batch.errors?.data?.[0]?.code], ['expired', 'max_usd_reached']);
  const [found] = accountOf(batch).thresholds;
  assert.equal(found?.reason, 'sample_unfinished');
  const calls = newCalls(system).reduce((sum, own) => sum + own, 0);
  const spent = accountOf(batch).progress.spent_usd ?? 0;
  // Of the sample some were under way when that was seen; of the rest of the batch nobody was asked.
  assert.ok(spent >= 0.0007 && calls <= 2 * found.sampled, `$${spent}, ${calls} calls for ${found.sampled}`);
  const { completed = 0, total } = batch.request_counts ?? {};
  assert.ok(total === 1_000 && completed > 0, 'what was paid for is delivered');
});

test('by labels of some documents an accuracy is promised; labels that are none are named', async () => {
  const system = await shared();
  const upload = async (lines: readonly string[]): Promise<string> =>
    (await system.client.files.create({ file: new File([lines.join('\n')], 'a.jsonl'), purpose: 'batch' })).id;
  const input = await upload(numbers(800).map((prompt, at) => requestLine(prompt, `doc-${at}`)));
  const create = async (labels: string) => {
    const metadata = { 'spillway.promise': 'accuracy=0.9,certainty=0.95', 'spillway.labels': labels };
    const order = { endpoint: '/v1/chat/completions', completion_window: '24h', input_file_id: input } as const;
    return await system.settled((await system.client.batches.create({ ...order, metadata })).id);
  };
  const labels = Array.from({ length: 200 }, (_, at) =>
    JSON.stringify({ custom_id: `doc-${3 * at}`, answer: right(3 * at) }),
  );
  const batch = await create(await upload(labels));
  const [found] = accountOf(batch).thresholds;
  assert.deepEqual([found?.outcome, found?.sampled, found?.documents], ['certified', 200, 800]);
  const lines = await system.lines(batch.output_file_id);
  assert.ok(lines.every(({ cascade }) => cascade?.certificate?.accuracy === 0.9));
  const wrong = lines.filter(({ response }, at) => !JSON.stringify(response).includes(`"${right(at)}"`)).length;
  assert.ok(wrong <= 80, String(wrong));
  // A preview of another threshold says what the labels say of it.
  const { labelled } = await system.client.post<{ labelled: Record<string, number> }>(
    `/batches/${batch.id}/redecide?preview=true`,
    { body: { accept_at: 0.2 } },
  );
  const rightNow = labels.filter((_, at) => JSON.stringify(lines[3 * at]?.response).includes(`"${right(3 * at)}"`));
  assert.deepEqual(labelled, { documents: 200, right_now: rightNow.length, known: 200, right: 180 });

  const refused = await create(
    await upload([
      '{"custom_id":"doc-1","answer":"x"}',
      '{"custom_id":"doc-900","answer":"x"}',
      '{"custom_id":"doc-2"}',
    ]),
  );
  assert.equal(refused.status, 'failed');
  assert.deepEqual(
    refused.errors?.data?.map(({ code, param, message }) => [code, param, message]),
    [['invalid_labels', 'metadata.spillway.labels', 'The labels, line 3: expected {"custom_id": …, "answer": …}.']],
  );
  const unknown = await create(await upload(['{"custom_id":"doc-900","answer":"x"}']));
  assert.equal(unknown.errors?.data?.[0]?.message, 'The labels, line 1: the batch has no document "doc-900".');
  const few = await create(await upload(labels.slice(0, 20)));
  assert.deepEqual(
    [accountOf(few).thresholds[0]?.reason, accountOf(few).thresholds[0]?.sampled],
    ['too_few_labels', 0],
  );
  await assert.rejects(create('file-nothing'), { status: 400, param: 'metadata.spillway.labels' });
});

test('the audit of a batch with a certified promise watches over that, and not over its sample', async () => {
  const system = await shared();
  const { id } = await system.submit(numbers(300), { model: 'kept' });
  const { thresholds, audits } = accountOf(await system.settled(id));
  const [[found], [audit]] = [thresholds, audits];
  assert.ok(found?.outcome === 'certified' && audit !== undefined, JSON.stringify({ thresholds, audits }));
  // Every draft is accepted but those of the sample, for which the expert's answers stand.
  assert.deepEqual([audit.chosen, found.expert_share], [300 - found.sampled, 0]);
  assert.ok(Math.abs(audit.at_most - 0.05) < 1e-9);
  assert.deepEqual([audit.disagreed, audit.done + audit.not_done, audit.alarm], [0, audit.chosen, null]);
});

test('a batch says its thresholds itself; what it cannot say is refused by the key', async () => {
  const system = await shared();
  const order = { endpoint: '/v1/chat/completions', completion_window: '24h' } as const;
  const file = await system.client.files.create({
    file: new File(
      numbers(60).map((prompt, at) => `${requestLine(prompt, `doc-${at}`)}\n`),
      'a.jsonl',
    ),
    purpose: 'batch',
  });
  const create = (metadata: Record<string, string>) =>
    system.client.batches.create({ ...order, input_file_id: file.id, metadata });
  newCalls(system);
  const all = await system.settled((await create({ 'spillway.accept_at': '0' })).id);
  assert.deepEqual([newCalls(system)[1], accountOf(all).thresholds], [0, []], 'every draft is final');
  const small = await system.settled((await create({ 'spillway.promise': 'test:agreement=0.99' })).id);
  const [found] = accountOf(small).thresholds;
  assert.deepEqual([found?.outcome, found?.reason, found?.sampled], ['not_certified', 'batch_too_small', 0]);
  assert.deepEqual(newCalls(system), [0, 60], 'all of it goes to the expert, and no drafter is paid');
  const effort = 'agreement=0.99,otherwise=best_effort';
  const guessed = await system.settled((await create({ 'spillway.promise': effort })).id);
  assert.equal(accountOf(guessed).thresholds[0]?.stages[0]?.accept_at, 0.8, 'as it is configured');

  const refused: readonly (readonly [string, Record<string, string>])[] = [
    ['spillway.accept_at', { 'spillway.accept_at': '90' }],
    ['spillway.budget', { 'spillway.budget': '25%' }],
    ['spillway.promise', { 'spillway.promise': 'agreement=1' }],
    ['spillway.promise', { 'spillway.promise': 'nobody:agreement=0.9' }],
    ['spillway.promise', { 'spillway.promise': 'agreement=0.9', 'spillway.accept_at': '0.9' }],
    ['spillway.promise', { 'spillway.promise': 'agreement=0.9', 'spillway.shadow': 'true' }],
  ];
  for (const [key, metadata] of refused) {
    await assert.rejects(create(metadata), (error) => {
      assert.ok(error instanceof BadRequestError, String(error));
      assert.deepEqual([error.param, error.code], [`metadata.${key}`, 'invalid_value']);
      return true;
    });
  }
});
