import assert from 'node:assert/strict';
import { test } from 'node:test';
import OpenAI from 'openai';
import { requestLine } from '../support/request-line.ts';
import { sharedSystem } from '../support/shared-system.ts';
import { System, until, type ResultLine } from '../support/system.ts';
import { docIds, wholeResults } from '../support/whole.ts';

type Results = { data: ResultLine[]; cursor: string; has_more: boolean; complete: boolean };

const readResults = (
  system: System,
  id: string,
  query: { after?: string; limit?: number; with?: string; custom_id?: string } = {},
): Promise<Results> => system.client.get(`/batches/${id}/results`, { query });

const done = (batch: OpenAI.Batch): number => batch.request_counts?.completed ?? 0;

const shared = sharedSystem(() => System.start({ drafter: { latencyMs: 5 }, models: { large: { max_attempts: 1 } } }));

test('results are read in input order while the batch is in work, none twice and none left out', async () => {
  const system = await shared();
  const prompts = Array.from({ length: 700 }, (_, at) =>
    at === 300
      ? '[[hang]]'
      : at % 20 === 0
        ? `[[drafter unsure]] [[expert ${at % 40 === 0 ? 400 : 200}]] ${at}`
        : `${at}`,
  );
  const { id } = await system.submit(prompts);
  const early = await readResults(system, id);
  assert.deepEqual([early.data, early.cursor, early.has_more, early.complete], [[], 'r_0', false, false]);
  // The first and the third page can be sealed, the second waits for a document that hangs.
  await system.settled(id, (batch) => done(batch) + (batch.request_counts?.failed ?? 0) === 699);
  const seen: ResultLine[] = [];
  let after = 'r_0';
  let page: Results | null = null;
  const follow = async (): Promise<void> => {
    do {
      page = await readResults(system, id, { after, limit: 100 });
      assert.ok(page.data.length <= 100);
      seen.push(...page.data);
      after = page.cursor;
    } while (page.has_more);
  };
  while (seen.length < 256) await follow();
  assert.equal(seen.length, 256, 'what lies behind a page that is not sealed is held back');
  assert.deepEqual((await readResults(system, id, { after })).data, []);
  const oneOf = async (customId: string) => {
    const { data, complete } = await readResults(system, id, { custom_id: customId });
    return [data.map((line) => line.custom_id), complete];
  };
  assert.deepEqual(await oneOf('doc-5'), [['doc-5'], true]);
  await until(async () => (await oneOf('doc-699'))[1] === true);
  assert.deepEqual(await oneOf('doc-699'), [['doc-699'], true], 'the index knows where it is');
  assert.deepEqual(await oneOf('doc-299'), [[], false]);
  assert.deepEqual(await oneOf('doc-700'), [[], true]);
  system.drafterModel.release();
  const batch = await system.settled(id);
  await follow();
  assert.deepEqual(
    seen.map((line) => line.custom_id),
    docIds(700),
  );
  assert.equal((await readResults(system, id, { after })).complete, true);
  const { output, errors } = await wholeResults(system, batch, docIds(700));
  const lines = new Map([...output, ...errors].map((line) => [line.custom_id, line]));
  for (const line of seen) assert.deepEqual(line, lines.get(line.custom_id));
  await assert.rejects(readResults(system, id, { after: 'r_701' }), OpenAI.BadRequestError);
  await assert.rejects(readResults(system, id, { after: 'batch_req_1' }), OpenAI.BadRequestError);
});

const retry = (system: System, id: string, options: OpenAI.RequestOptions = {}): Promise<OpenAI.Batch> =>
  system.client.post(`/batches/${id}/retry`, options);

test('what failed is tried again as a batch of its own, byte by byte as it was sent', async () => {
  const system = await shared();
  const prompts = Array.from({ length: 600 }, (_, at) =>
    at % 50 === 7 ? `[[drafter unsure]] [[expert status 500 x1]] ${at} \u2028 12345678901234567890` : `${at}`,
  );
  const { id } = await system.submit(prompts, { window: '90m' });
  await assert.rejects(retry(system, id), OpenAI.ConflictError);
  const first = await system.settled(id);
  assert.equal(first.request_counts?.failed, 12);
  const again = await retry(system, id);
  assert.deepEqual(again.metadata, { 'spillway.retry_of': id });
  assert.equal(again.completion_window, '90m');
  const options = { body: { completion_window: '1h' }, headers: { 'Idempotency-Key': 'another' } };
  assert.equal((await retry(system, id, options)).id, again.id);
  const batch = await system.settled(again.id);
  const failed = docIds(600).filter((_, at) => at % 50 === 7);
  await wholeResults(system, batch, failed);
  const input = await (await system.client.files.content(batch.input_file_id)).text();
  const sent = prompts.flatMap((prompt, at) => (at % 50 === 7 ? [`${requestLine(prompt, `doc-${at}`)}\n`] : []));
  assert.equal(input, sent.join(''));
  await assert.rejects(retry(system, batch.id), /has no failed requests/);
  await system.redis.client.flushall();
  await system.admitted();
  assert.equal((await retry(system, id)).id, again.id, 'also once Redis was wiped');
  const joined = await readResults(system, id, { with: 'retries' });
  const lines = new Map(joined.data.map((line) => [line.custom_id, line]));
  assert.deepEqual([...lines.keys()], docIds(600));
  for (const line of [...(await system.lines(first.output_file_id)), ...(await system.lines(batch.output_file_id))]) {
    assert.deepEqual(lines.get(line.custom_id), line, 'the lines of the two files together');
  }
  assert.deepEqual([joined.has_more, joined.complete], [false, true]);
  for (const [customId, line] of [...lines].slice(300, 310)) {
    const one = await readResults(system, id, { with: 'retries', custom_id: customId });
    assert.deepEqual([one.data, one.complete], [[line], true]);
  }
});

test('requests that come with the create are a batch like any other', async () => {
  const system = await shared();
  const countFiles = async () => (await system.client.files.list({ purpose: 'batch' })).data.length;
  const before = await countFiles();
  const requests = Array.from({ length: 300 }, (_, at) => JSON.parse(requestLine(`${at}`, `doc-${at}`)) as object);
  const order = { requests, endpoint: '/v1/chat/completions', completion_window: '24h' };
  const options = { body: order, headers: { 'Idempotency-Key': 'inline' } };
  const created = await system.client.post<OpenAI.Batch>('/batches', options);
  assert.equal((await system.client.post<OpenAI.Batch>('/batches', options)).id, created.id);
  const batch = await system.settled(created.id);
  await wholeResults(system, batch, docIds(300));
  const file = await system.client.files.retrieve(batch.input_file_id);
  assert.deepEqual([file.purpose, file.filename], ['batch', `${created.id}_input.jsonl`]);
  assert.equal(await countFiles(), before + 1);
  const bad = { ...order, requests: [{ custom_id: 'a' }] };
  const failed = await system.client.post<OpenAI.Batch>('/batches', { body: bad });
  const shown = await system.settled(failed.id);
  assert.equal(shown.errors?.data?.[0]?.param, 'method');
  const deep = { ...order, requests: [JSON.parse(`{"a":${'['.repeat(1_000)}${']'.repeat(1_000)}}`) as object] };
  await assert.rejects(system.client.post('/batches', { body: deep }), OpenAI.BadRequestError);
  for (const wrong of [[], 'x', [1]]) {
    await assert.rejects(system.client.post('/batches', { body: { ...order, requests: wrong } }), /400/);
  }
  await assert.rejects(system.client.post('/batches', { body: { ...order, input_file_id: 'file-x' } }), /not both/);
});

test('a batch that has cost what it may ends like one whose time ran out, and says why', async () => {
  await using system = await System.start({ drafter: { latencyMs: 10 } });
  const prompts = Array.from({ length: 2_000 }, (_, at) => `${at}`);
  const input = await system.client.files.create({
    file: new File([prompts.map((prompt, at) => `${requestLine(prompt, `doc-${at}`)}\n`).join('')], 'a.jsonl'),
    purpose: 'batch',
  });
  const order = { input_file_id: input.id, endpoint: '/v1/chat/completions', completion_window: '24h' } as const;
  const created = await system.client.batches.create({ ...order, metadata: { 'spillway.max_usd': '0.0005' } });
  const batch = await system.settled(created.id);
  assert.equal(batch.status, 'expired');
  assert.equal(batch.errors?.data?.[0]?.code, 'max_usd_reached');
  const output = await system.lines(batch.output_file_id);
  const errors = await system.lines(batch.error_file_id);
  assert.equal(output.length + errors.length, 2_000);
  assert.ok(output.length > 0 && errors.length > 0);
  assert.ok(errors.every((line) => line.error?.code === 'max_usd_reached'));
  assert.deepEqual(batch.request_counts, { total: 2_000, completed: output.length, failed: 0 });
  for (const cap of ['0', 'lots']) {
    const metadata = { 'spillway.max_usd': cap };
    await assert.rejects(
      system.client.batches.create({ ...order, metadata }),
      /metadata.spillway.max_usd|Invalid value/,
    );
  }
});
