import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { digestBits, DocumentRows, KEYS, NO_COUNTS, resultLineId, writePage, type PageLine } from '@spillway/core';
import { storeIndex } from '@spillway/storage';
import OpenAI from 'openai';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { startTestApi, type TestApi } from './api-under-test.ts';

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

type Batch = {
  /** The `custom_id` of each document's line. */
  readonly ids: readonly (string | null)[];
  /** Those that the index has, where it is to have others; null: none is written, as by the version before. */
  readonly indexed?: readonly string[] | null;
  readonly pageDocuments?: number;
  /** Pages that are not sealed. */
  readonly open?: readonly number[];
  readonly hasEnded?: boolean;
};

/** A batch as the dispatcher leaves it. A document's line has its number in it; that of every third one is an error. */
async function write({ ids, indexed, pageDocuments = 50, open = [], hasEnded = true }: Batch): Promise<string> {
  const { id: batch } = await api.client().batches.create({
    input_file_id: `file-${randomBytes(16).toString('hex')}`,
    endpoint: '/v1/chat/completions',
    completion_window: '24h',
  });
  const pages: number[][] = [];
  for (let first = 0; first < ids.length; first += pageDocuments) {
    const own = ids.slice(first, first + pageDocuments);
    const lines = own.map((id, place): PageLine => {
      const document = first + place;
      const line = { id: resultLineId(batch, document), custom_id: id, document };
      return { part: document % 3 === 0 ? 'error' : 'output', text: JSON.stringify(line) };
    });
    const page = pages.push([first, own.length, 10 * first, 10 * own.length, first]) - 1;
    const { bytes } = writePage(page, lines, { counts: NO_COUNTS, waits: {} });
    if (!open.includes(page)) await api.storage.create(KEYS.page(batch, page), bytes);
  }
  const rows = new DocumentRows();
  for (const [document, id] of (indexed ?? ids).entries()) {
    if (id !== null) rows.add({ id: digestBits(id), body: null, document, offset: 0 });
  }
  const index = indexed === null ? {} : { index: await storeIndex(api.storage, batch, rows) };
  await api.put(KEYS.validated(batch), {
    validatedAtMs: 1,
    total: ids.length,
    cascades: ['invoices'],
    pages,
    ...index,
  });
  await api.store.client.del(api.store.keys.batch(batch));
  const times = { inProgressAtMs: 1, closedAtMs: 2, endedAtMs: 3 };
  const files = { pages: pages.map(() => [1, 0]), outputFileId: 'file-0', errorFileId: null };
  const final = { outcome: 'completed', total: ids.length, model: 'invoices', counts: NO_COUNTS, errors: [] };
  if (hasEnded) await api.put(KEYS.final(batch), { ...final, ...times, ...files });
  return batch;
}

type Results = {
  readonly data: readonly { readonly document: number }[];
  readonly cursor: string;
  readonly has_more: boolean;
  readonly complete: boolean;
};

const ask = (batch: string, customId: string, more: object = {}): Promise<Results> =>
  api.client().get(`/batches/${batch}/results`, { query: { custom_id: customId, ...more } });

/** The documents that an answer has, and whether others may come. */
const found = async (...args: Parameters<typeof ask>) => {
  const { data, has_more: hasMore, complete } = await ask(...args);
  return { documents: data.map(({ document }) => document), hasMore, complete };
};

const only = (...documents: number[]) => ({ documents, hasMore: false, complete: true });

const docs = (count: number): string[] => Array.from({ length: count }, (_, at) => `doc "${at}" ä🙂\u2028`);

test('a document is found by its id, in whatever part of whatever page it is', async () => {
  const ids = docs(260);
  const batch = await write({ ids });
  for (const at of [0, 1, 49, 50, 51, 150, 258, 259]) assert.deepEqual(await found(batch, ids[at] ?? ''), only(at));
  assert.deepEqual(await found(batch, 'doc'), only());
  await assert.rejects(ask(batch, 'x'.repeat(10_000)), OpenAI.BadRequestError);
  assert.deepEqual((await ask(batch, '')).data.length, 260, 'an empty one counts as none');
});

test('while a batch is in work: what is there, what is still to come, and what never will', async () => {
  const ids = docs(150);
  const batch = await write({ ids, open: [1], hasEnded: false });
  assert.deepEqual(await found(batch, ids[3] ?? ''), only(3));
  assert.deepEqual(await found(batch, ids[120] ?? ''), only(120), 'also behind a page that is not sealed');
  const waiting = await ask(batch, ids[70] ?? '');
  assert.deepEqual([waiting.data, waiting.cursor, waiting.has_more, waiting.complete], [[], 'r_70', false, false]);
  assert.deepEqual(await found(batch, 'nobody'), only());
});

test('bad lines with the id of others are found with them, page by page where a cursor says so', async () => {
  const ids = [...docs(60), 'same', 'same', null, ...docs(60).map((id) => `more ${id}`), 'same'];
  const batch = await write({ ids });
  assert.deepEqual(await found(batch, 'same'), only(60, 61, 123));
  const first = await ask(batch, 'same', { limit: 2 });
  assert.deepEqual([first.data.length, first.cursor, first.has_more, first.complete], [2, 'r_123', true, false]);
  assert.deepEqual(await found(batch, 'same', { limit: 2, after: first.cursor }), only(123));
});

test('an id whose bits are those of another one is not taken for it', async () => {
  const ids = docs(60);
  const batch = await write({ ids, indexed: ids.with(20, 'other').with(50, ids[10] ?? '') });
  assert.deepEqual(await found(batch, 'other'), only());
  assert.deepEqual(await found(batch, ids[10] ?? ''), only(10));
});

test('without an index, or with a damaged one, lines are looked through; that it is damaged is told by its name', async () => {
  const ids = Array.from({ length: 12_000 }, (_, at) => `${at}`);
  const batch = await write({ ids, indexed: null, pageDocuments: 4_000 });
  assert.deepEqual(await found(batch, '9999'), { documents: [9_999], hasMore: true, complete: false });
  const first = await ask(batch, '11999');
  assert.deepEqual([first.data, first.cursor, first.has_more, first.complete], [[], 'r_10000', true, false]);
  assert.deepEqual(await found(batch, '11999', { after: first.cursor }), only(11_999));
  assert.deepEqual((await found(batch, '1', { limit: 1 })).documents, [1]);

  const damaged = await write({ ids: ids.slice(0, 300) });
  const [key = ''] = await api.storage.list(KEYS.indexes(damaged), { limit: 1 });
  await api.storage.remove(key);
  await api.storage.create(key, Buffer.alloc(4_096));
  assert.deepEqual(await found(damaged, '299'), only(299));
  assert.deepEqual(await found(damaged, 'nobody'), only());
  const told = api.lines.filter((line) => line['key'] === key);
  assert.deepEqual(new Set(told.map((line) => line['level'])), new Set(['error']));
  assert.equal(told[0]?.['batch'], damaged);
});

test('a batch whose files are gone says so, whatever is left of its index', async () => {
  const batch = await write({ ids: docs(60), open: [0, 1] });
  await assert.rejects(ask(batch, 'doc-1'), (error) => {
    assert.ok(error instanceof OpenAI.NotFoundError);
    assert.equal(error.code, 'results_gone');
    return true;
  });
});
