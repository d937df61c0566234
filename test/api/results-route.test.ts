import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { KEYS, NO_COUNTS, resultFileId, writePage, type PageFooter, type PageLine } from '@spillway/core';
import OpenAI from 'openai';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { startTestApi, type TestApi } from './api-under-test.ts';
import { errorOf, json, send } from './raw-http.ts';

let redis: RedisServer;
let api: TestApi;

before(async () => {
  redis = await startRedis();
  api = await startTestApi({ redisUrl: redis.url });
});
after(async () => {
  await api[Symbol.asyncDispose]();
  await redis.stop();
});

/** Ends a batch of 700 documents as the dispatcher does; every third fails, the second page whole. */
async function endedBatch(): Promise<{ batch: string; lines: Record<PageLine['part'], string> }> {
  const body = {
    input_file_id: `file-${'1'.repeat(32)}`,
    endpoint: '/v1/chat/completions',
    completion_window: '24h',
  } as const;
  const { id: batch } = await api.client().batches.create(body);
  const lines = { output: '', error: '' };
  const footers: PageFooter[] = [];
  for (const [page, documents] of [256, 256, 188].entries()) {
    const some = Array.from({ length: documents }, (_, place): PageLine => {
      const part = page === 1 || place % 3 === 0 ? 'error' : 'output';
      const text = JSON.stringify({ custom_id: `doc-${page}-${place}`, text: 'ä🙂'.repeat(place % 7) });
      lines[part] += `${text}\n`;
      return { part, text };
    });
    const { bytes, footer } = writePage(page, some, { counts: NO_COUNTS, waits: {} });
    await api.storage.create(KEYS.page(batch, page), bytes);
    footers.push(footer);
  }
  for (const part of ['output', 'error'] as const) {
    const id = resultFileId(batch, part);
    const createdAtMs = Date.now();
    await api.put(KEYS.fileRecord(id), {
      id,
      tenant: 'default',
      filename: `${batch}_${part}.jsonl`,
      purpose: 'batch_output',
      bytes: Buffer.byteLength(lines[part]),
      createdAtMs,
      expiresAtMs: null,
      source: { kind: 'batch', batch, part },
    });
    await api.storage.create(KEYS.tenantFile('default', createdAtMs, id), Buffer.from('{}'));
  }
  await api.put(KEYS.final(batch), {
    outcome: 'completed',
    total: 700,
    model: 'invoices',
    counts: NO_COUNTS,
    waits: {},
    inProgressAtMs: 1,
    closedAtMs: 2,
    endedAtMs: 3,
    errors: [],
    pages: footers.map(({ outputBytes, errorBytes }) => [outputBytes, errorBytes]),
    outputFileId: resultFileId(batch, 'output'),
    errorFileId: resultFileId(batch, 'error'),
  });
  await api.store.client.del(api.store.keys.batch(batch));
  return { batch, lines };
}

test('the output and error files are their pages, in input order', async () => {
  const client = api.client();
  const { batch, lines } = await endedBatch();
  const shown = await client.batches.retrieve(batch);
  for (const [part, id] of [
    ['output', shown.output_file_id],
    ['error', shown.error_file_id],
  ] as const) {
    assert.ok(typeof id === 'string');
    const file = await client.files.retrieve(id);
    assert.deepEqual([file.purpose, file.filename, file.expires_at], ['batch_output', `${batch}_${part}.jsonl`, null]);
    const content = await client.files.content(id);
    assert.equal(content.headers.get('content-disposition'), `attachment; filename="${batch}_${part}.jsonl"`);
    const text = await content.text();
    assert.ok(text === lines[part], `the ${part} file is not what its pages hold`);
    assert.ok(text.endsWith('\n'));
    assert.equal(file.bytes, Buffer.byteLength(text));
  }
  const listed = (await client.files.list({ purpose: 'batch_output' })).data.map(({ id }) => id);
  assert.deepEqual(new Set(listed), new Set([shown.output_file_id, shown.error_file_id]));
});

test('ranges reach over pages', async () => {
  const { batch, lines } = await endedBatch();
  const url = `${api.url}/v1/files/${resultFileId(batch, 'error')}/content`;
  const whole = Buffer.from(lines.error);
  const first = whole.length;
  const ranges: [string, Buffer][] = [
    ['bytes=0-0', whole.subarray(0, 1)],
    ['bytes=100-', whole.subarray(100)],
    [`bytes=50-${first - 10}`, whole.subarray(50, first - 9)],
    ['bytes=-1', whole.subarray(-1)],
    [`bytes=3000-30000`, whole.subarray(3_000, 30_001)],
  ];
  for (const [range, expected] of ranges) {
    const answer = await send(url, { headers: { range } });
    assert.equal(answer.status, 206);
    assert.ok(answer.body.equals(expected), range);
    assert.equal(answer.headers['content-length'], String(expected.length));
  }
});

test('a deleted result file is gone, the batch and its other file stay', async () => {
  const client = api.client();
  const { batch } = await endedBatch();
  await client.files.delete(resultFileId(batch, 'output'));
  await assert.rejects(client.files.content(resultFileId(batch, 'output')), OpenAI.NotFoundError);
  assert.equal((await client.files.content(resultFileId(batch, 'error'))).status, 200);
  assert.equal((await client.batches.retrieve(batch)).output_file_id, resultFileId(batch, 'output'));
});

test('a page that is missing breaks the download off instead of shortening it', async () => {
  const { batch } = await endedBatch();
  await api.storage.remove(KEYS.page(batch, 2));
  const url = `${api.url}/v1/files/${resultFileId(batch, 'output')}/content`;
  await assert.rejects(send(url), /aborted|ECONNRESET|socket hang up/);
  await api.storage.remove(KEYS.page(batch, 0));
  const answer = await send(url);
  assert.equal(answer.status, 500);
  assert.equal(errorOf(answer).type, 'server_error');
  assert.equal(json(await send(`${api.url}/health/live`))['ok'], true);
});
