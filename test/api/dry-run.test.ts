import assert from 'node:assert/strict';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { type OpenAI, toFile } from 'openai';
import type { z } from 'zod';
import type { batchAccount } from '../../services/api/src/schemas/account.ts';
import { batchEstimate, type BatchEstimate } from '../../services/api/src/schemas/estimate.ts';
import { failureOf } from '../support/api-error.ts';
import { requestLine, type SubmitOptions } from '../support/request-line.ts';
import { sharedSystem } from '../support/shared-system.ts';
import { namesIn } from '../support/stored.ts';
import { System, until } from '../support/system.ts';
import { startTestApi } from './api-under-test.ts';

/** Workers are there, so that something is known of time. */
const shared = sharedSystem(async () => {
  const sidecar = "  beside: { base_url: 'http://127.0.0.1:9/v1', model: b, sidecar: true }";
  const cascade = '  sided: { drafter: beside, expert: large, accept_at: 0.8 }';
  const models = { small: { max_attempts: 2 }, large: { price: { input: 10, output: 20 }, max_attempts: 2 } };
  return await System.start({ models, moreModels: sidecar, moreCascades: cascade });
});
let system: System;

before(async () => {
  system = await shared();
});

type BatchAccount = z.output<typeof batchAccount>;

type Asked = { readonly pilot?: number; readonly metadata?: Record<string, string>; readonly options?: SubmitOptions };

const lines = (prompts: readonly string[], options: SubmitOptions = {}): string[] =>
  prompts.map((prompt, at) => requestLine(prompt, `doc-${at}`, options));

async function upload(text: string): Promise<string> {
  const input = await toFile(Buffer.from(text), 'input.jsonl');
  return (await system.client.files.create({ file: input, purpose: 'batch' })).id;
}

/** What a dry run answers, in the form that is described. */
async function dryRun(input: object, { pilot, metadata }: Asked = {}): Promise<BatchEstimate> {
  const body = { ...input, endpoint: '/v1/chat/completions', completion_window: '24h', metadata };
  const query = { dry_run: true, ...(pilot === undefined ? {} : { pilot }) };
  return batchEstimate.parse(await system.client.post('/batches', { body, query }));
}

const inline = (prompts: readonly string[], asked: Asked = {}): Promise<BatchEstimate> =>
  dryRun({ requests: lines(prompts, asked.options).map((line) => JSON.parse(line) as unknown) }, asked);

const stored = (): Promise<string[]> => namesIn(join(system.directory, 'data'));

test('the errors are those that the batch fails with, line by line, and nothing is made', async () => {
  const good = requestLine('a', 'a');
  const duplicate = requestLine('b', 'a');
  const text = [good, '{"custom_id": ', duplicate, '', requestLine('c', 'c', { model: 'nope' })].join('\n');
  const fileId = await upload(text);
  const before_ = await stored();
  const estimate = await dryRun({ input_file_id: fileId }, { pilot: 5 });
  assert.deepEqual(await stored(), before_);
  const batch = await system.client.batches.create({
    input_file_id: fileId,
    endpoint: '/v1/chat/completions',
    completion_window: '24h',
  });
  const failed = await system.settled(batch.id);
  assert.deepEqual(estimate.errors, failed.errors);
  assert.deepEqual(
    estimate.errors?.data.map(({ line }) => line),
    [2, 3, 5],
  );
  const { valid, pilot, cost_usd: cost, seconds, documents } = estimate;
  assert.deepEqual([valid, pilot, cost, seconds, documents.total], [false, null, null, null, 4]);
  assert.equal(system.drafterModel.received, 0);
  const many = await dryRun({ input_file_id: await upload('{}\n'.repeat(250)) });
  assert.equal(many.errors?.data.length, 100);
  assert.match(many.errors?.data.at(-1)?.message ?? '', /There are 250 errors in all/);
  const unknown = await dryRun({ input_file_id: 'file-unknown' });
  assert.deepEqual([unknown.valid, unknown.errors?.data[0]?.param], [false, 'file_id']);
});

test('without a pilot it is said what there is, and nothing of what nobody knows', async () => {
  const prompts = Array.from({ length: 30 }, (_, at) => `prompt ${at} ${'x'.repeat(100)}`);
  const before_ = await stored();
  const estimate = await inline([...prompts, ...prompts.slice(0, 5)], { options: { body: { temperature: 0 } } });
  assert.deepEqual(await stored(), before_, 'not even the requests are stored');
  assert.deepEqual(estimate.documents, { total: 35, bad_lines: 0, copies: 5, cascades: { test: 35 } });
  const { input_tokens: tokens } = estimate;
  const characters = prompts.join('').length;
  assert.deepEqual([tokens?.characters, tokens?.expected, tokens?.low], [characters, Math.round(characters / 4), null]);
  const { valid, pilot, stages, escalated_share: share, cost_usd: cost, all_expert_usd: expert } = estimate;
  assert.deepEqual([valid, pilot, stages, share, cost, expert], [true, null, null, null, null, null]);
  assert.match(estimate.notes.join('\n'), /a pilot/i);
  assert.equal(system.drafterModel.received, 0);
  assert.deepEqual(
    (await system.client.batches.list()).data.filter(({ status }) => status !== 'failed'),
    [],
  );
});

test('a pilot says what is escalated, what it costs and how long it takes, and what it was charged', async () => {
  // A file may be sorted: the first half would say that nothing is escalated.
  const prompts = Array.from({ length: 200 }, (_, at) => `${at < 100 ? '' : '[[drafter unsure]] '}prompt ${at}`);
  // Inline, so that the order is always the same, and with it the pilot.
  const estimate = await inline(prompts, { pilot: 40 });
  const { pilot, stages, escalated_share: share, cost_usd: cost, all_expert_usd: expert, seconds } = estimate;
  assert.deepEqual([pilot?.asked_for, pilot?.documents, pilot?.failed], [40, 40, 0]);
  assert.equal(system.drafterModel.received, 40);
  assert.equal(system.expertModel.received, pilot?.escalated);
  assert.ok(
    share !== null && share.low < 0.5 && share.high > 0.5 && share.high - share.low < 0.35,
    JSON.stringify(share),
  );
  assert.deepEqual(
    stages?.map(({ stage, share: own }) => [stage, own.expected > 0]),
    [
      [1, true],
      [2, true],
    ],
  );
  assert.ok(cost !== null && expert !== null && cost.low < cost.expected && cost.expected < cost.high);
  assert.ok(expert.expected > cost.expected);
  assert.ok(seconds !== null && seconds.low <= (seconds.expected ?? 0) && (seconds.expected ?? 0) <= seconds.high);
  assert.ok((pilot?.cost_usd ?? 0) > 0 && (pilot?.cost_usd ?? 0) < cost.expected);
  const drawn = (): string[] =>
    system.drafterModel.requests
      .slice(-40)
      .map(({ body }) => JSON.stringify(body['messages']))
      .toSorted();
  const first = drawn();
  await inline(prompts, { pilot: 40 });
  assert.deepEqual(drawn(), first, 'the same order draws the same documents');

  const batch = await system.submit(prompts);
  const ended = (await system.settled(batch.id)) as OpenAI.Batch & { readonly spillway: BatchAccount };
  const spent = ended.spillway.progress.spent_usd ?? Number.NaN;
  assert.ok(spent >= cost.low && spent <= cost.high, JSON.stringify([spent, cost]));
});

test('bad lines that go to the error file are counted, and asked about by nobody', async () => {
  const text = [...lines(['a', 'b', 'c']), 'no json', requestLine('d', 'doc-0')].join('\n');
  const received = system.drafterModel.received;
  const metadata = { 'spillway.on_bad_lines': 'error_file' };
  const estimate = await dryRun({ input_file_id: await upload(text) }, { pilot: 200, metadata });
  assert.deepEqual([estimate.valid, estimate.documents.total, estimate.documents.bad_lines], [true, 5, 2]);
  assert.equal(estimate.pilot?.documents, 3);
  assert.equal(system.drafterModel.received - received, 3);
});

test('a pilot is not begun that might cost more than the batch may, and a price does not go beyond the cap', async () => {
  const received = system.drafterModel.received;
  const prompts = Array.from({ length: 100 }, (_, at) => `[[drafter unsure]] prompt ${at}`);
  const none = await inline(prompts, { pilot: 50, metadata: { 'spillway.max_usd': '0.01' } });
  assert.equal(none.pilot, null);
  assert.match(
    none.notes.join('\n'),
    /There was no pilot: it might cost up to \$\d\.\d+, and spillway\.max_usd is \$0\.01/,
  );
  assert.equal(system.drafterModel.received, received);
  const asked: SubmitOptions = { body: { max_tokens: 4 } };
  const capped = await inline(prompts, { pilot: 1, metadata: { 'spillway.max_usd': '0.03' }, options: asked });
  assert.equal(capped.pilot?.documents, 1);
  assert.equal(capped.cost_usd?.high, 0.03);
  assert.match(capped.notes.join('\n'), /may reach its spillway\.max_usd of \$0\.03/);
  const long: SubmitOptions = { body: { max_tokens: 1_000_000 } };
  const before_ = system.drafterModel.received;
  const broken = await inline(['a', 'b', 'c'], { pilot: 3, metadata: { 'spillway.max_usd': '5' }, options: long });
  assert.deepEqual([broken.pilot?.documents, broken.pilot?.cost_usd, broken.cost_usd], [0, 0, null]);
  assert.match(broken.notes.join('\n'), /The pilot ended early: the next document might have cost more/);
  assert.equal(system.drafterModel.received, before_);
});

test('models that nobody here can ask have no pilot, and documents that fail are counted', async () => {
  const sided = await inline(['a', 'b'], { pilot: 2, options: { model: 'sided' } });
  assert.deepEqual([sided.valid, sided.pilot], [true, null]);
  assert.match(sided.notes.join('\n'), /There was no pilot: 'beside' runs beside its workers/);
  const failing = await inline(['[[drafter unsure]] [[expert status 400]] a', 'b', 'c'], { pilot: 3 });
  assert.deepEqual([failing.pilot?.documents, failing.pilot?.failed], [3, 1]);
  const full = await inline(['[[drafter status 429 1 x1]] a', 'b', 'c'], { pilot: 3 });
  assert.deepEqual([full.pilot?.documents, full.pilot?.failed], [3, 0], 'what a server does not take comes again');
});

test('of a batch that finds its thresholds itself a pilot finds them, too, again and again', async () => {
  const prompts = Array.from(
    { length: 300 },
    (_, at) => `${at % 4 === 0 ? '[[drafter unsure]] [[expert json]]' : ''} ${at}`,
  );
  const metadata = { 'spillway.promise': 'agreement=0.9,certainty=0.9' };
  const estimate = await inline(prompts, { pilot: 60, metadata });
  const { escalated_share: share, cost_usd: cost, pilot, notes } = estimate;
  assert.ok(share !== null && cost !== null && pilot?.documents === 60, JSON.stringify(estimate));
  assert.match(
    notes.join('\n'),
    /34 documents \(11 %\) are sampled first, .* certified in \d+ of 100 draws of the pilot/,
  );
  const order = { endpoint: '/v1/chat/completions', completion_window: '24h' } as const;
  const input = await upload(lines(prompts).join('\n'));
  const batch = await system.settled(
    (await system.client.batches.create({ ...order, input_file_id: input, metadata })).id,
  );
  const { spillway } = batch as unknown as { spillway: BatchAccount };
  assert.equal(spillway.thresholds[0]?.sampled, 34);
  const report: { escalated_share: number } = await system.client.get(`/batches/${batch.id}/report`);
  // One in ten ranges does not hold what it is of: as far off as this none is that was made of the right figures.
  const isIn = (value: number | null, { low, high }: { low: number; high: number }): void =>
    assert.ok(
      value !== null && value >= low - (high - low) / 2 && value <= high + (high - low) / 2,
      `${value} of ${low} to ${high}`,
    );
  isIn(report.escalated_share, share);
  // A draft that is stopped early writes less than that.
  isIn(spillway.progress.spent_usd, { ...cost, low: cost.low * 0.9 });
  const small = await inline(['a', 'b'], { pilot: 2, metadata });
  assert.match(small.notes.join('\n'), /Nothing can be shown by a sample of so few documents/);
  assert.equal(small.escalated_share?.low, 1);
});

test('labels are checked, and by them nothing is foretold', async () => {
  const file = await upload('{"custom_id": "doc-9", "answer": "a"}\n');
  const labelled = { 'spillway.promise': 'accuracy=0.9,certainty=0.9', 'spillway.labels': file };
  const known = await upload('{"custom_id": "doc-1", "answer": "a"}\n');
  const foretold = await inline(['a', 'b'], { pilot: 2, metadata: { ...labelled, 'spillway.labels': known } });
  assert.deepEqual([foretold.valid, foretold.pilot, foretold.cost_usd], [true, null, null]);
  assert.match(foretold.notes.join('\n'), /There was no pilot: the thresholds are found by a sample/);
  const wrong = await inline(['a', 'b'], { metadata: labelled });
  assert.deepEqual([wrong.valid, wrong.errors?.data[0]?.code], [false, 'invalid_labels']);
  const unknown = await failureOf(inline(['a'], { metadata: { ...labelled, 'spillway.labels': 'file-unknown' } }));
  assert.deepEqual([unknown.status, unknown.param], [400, 'metadata.spillway.labels']);
});

test('what is wrong with the request is a 400 that names the key', async () => {
  const body = {
    requests: [JSON.parse(requestLine('a', 'a')) as unknown],
    endpoint: '/v1/chat/completions',
    completion_window: '24h',
  };
  const failure = (query: Record<string, string>, more: object = {}) =>
    failureOf(system.client.post('/batches', { body: { ...body, ...more }, query }));
  for (const [query, param] of [
    [{ dry_run: 'yes' }, 'dry_run'],
    [{ dry_run: '1' }, 'dry_run'],
    [{ dry_run: 'true', pilot: '0' }, 'pilot'],
    [{ dry_run: 'true', pilot: '201' }, 'pilot'],
    [{ dry_run: 'true', pilot: 'many' }, 'pilot'],
    [{ pilot: '5' }, 'pilot'],
    [{ dry_run: 'false', pilot: '5' }, 'pilot'],
    [{ 'dry-run': 'true' }, 'dry-run'],
    [{ dryRun: 'true' }, 'dryRun'],
  ] as const) {
    const { status, param: named } = await failure(query);
    assert.deepEqual([status, named], [400, param], JSON.stringify(query));
  }
  const cap = await failure({ dry_run: 'true' }, { metadata: { 'spillway.max_usd': 'much' } });
  assert.deepEqual([cap.status, cap.param], [400, 'metadata.spillway.max_usd']);
  const made = (await system.client.post('/batches', { body, query: { dry_run: 'false' } })) as OpenAI.Batch;
  assert.equal(made.object, 'batch');
  await system.settled(made.id);
});

test('a client that goes ends its pilot, and more dry runs than fit are told to come again', async () => {
  const requests = Array.from(
    { length: 20 },
    (_, at) => JSON.parse(requestLine(`[[drafter hang]] ${at}`, `${at}`)) as unknown,
  );
  const hanging = (pilot: number): { readonly answer: Promise<unknown>; readonly leave: AbortController } => {
    const leave = new AbortController();
    const body = { requests, endpoint: '/v1/chat/completions', completion_window: '24h' };
    const options = { body, query: { dry_run: true, pilot }, signal: leave.signal };
    return { answer: system.client.post('/batches', options).catch((error: unknown) => error), leave };
  };
  const received = system.drafterModel.received;
  const one = hanging(20);
  await system.drafterModel.waitForRequests(received + 8);
  one.leave.abort();
  await one.answer;
  await until(async () => system.drafterModel.inFlight === 0);
  assert.equal(system.drafterModel.received, received + 8, 'no further document was asked about');

  await until(async () => (await inline(['a']).catch(() => null)) !== null);
  const four = Array.from({ length: 4 }, () => hanging(1));
  await system.drafterModel.waitForRequests(received + 8 + 4);
  const refused = await failureOf(inline(['a']));
  assert.deepEqual(
    [refused.status, refused.code, refused.headers?.get('retry-after')],
    [429, 'rate_limit_exceeded', '5'],
  );
  for (const { leave } of four) leave.abort();
  await Promise.all(four.map(({ answer }) => answer));
  await until(async () => (await inline(['a']).catch(() => null)) !== null);
});

test('the description shows what a dry run is asked and answers', async () => {
  const url = system.client.baseURL.replace(/\/v1$/, '/openapi.json');
  const { paths, components } = (await (await fetch(url)).json()) as {
    readonly paths: Record<string, { readonly post: { readonly parameters: readonly { readonly name: string }[] } }>;
    readonly components: { readonly schemas: Record<string, { readonly required: readonly string[] }> };
  };
  const names = paths['/v1/batches']?.post.parameters.map(({ name }) => name);
  assert.deepEqual(names, ['Idempotency-Key', 'dry_run', 'pilot']);
  assert.deepEqual(components.schemas['BatchEstimate']?.required, Object.keys(batchEstimate.shape));
});

test('tenants see their own files only, and a dry run uses up nothing of what a key allows', async () => {
  await using api = await startTestApi({
    redisUrl: system.redis.url,
    keys: [
      { key: 'sk-one', tenant: 'one', limits: { open_batches: 0 } },
      { key: 'sk-two', tenant: 'two' },
    ],
  });
  const [one, two] = [api.client('sk-one'), api.client('sk-two')];
  const line = requestLine('a', 'a', { model: 'invoices' });
  const file = await one.files.create({ file: await toFile(Buffer.from(line), 'a.jsonl'), purpose: 'batch' });
  const body = { input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h' } as const;
  const ask = async (client: OpenAI): Promise<BatchEstimate> =>
    batchEstimate.parse(
      await client.post('/batches', { body, query: { dry_run: true }, headers: { 'Idempotency-Key': 'k' } }),
    );
  const keys = await api.keys();
  const own = await ask(one);
  assert.deepEqual([own.valid, own.documents.total, own.seconds], [true, 1, null]);
  assert.match(own.notes.join('\n'), /seconds: no worker of drafter\.small is there/);
  assert.equal((await ask(two)).errors?.data[0]?.param, 'file_id');
  assert.deepEqual(await api.keys(), keys);
  assert.equal((await failureOf(one.batches.create(body))).status, 429);
  assert.equal((await two.batches.create(body, { headers: { 'Idempotency-Key': 'k' } })).object, 'batch');
});
