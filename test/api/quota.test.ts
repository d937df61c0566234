import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { KEYS, NO_COUNTS, RECORD_VERSION, resultFileId, resultLineId, writePage, type PageLine } from '@spillway/core';
import { admit, close, knowWork, readWork, reserveWork } from '@spillway/redis';
import { Records } from '@spillway/storage';
import OpenAI from 'openai';
import { documentsOf } from '../../services/api/src/quota/documents.ts';
import type { KeyLimits } from '../../services/api/src/keys/file.ts';
import { requestLine } from '../support/request-line.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { startTestApi, type TestApi } from './api-under-test.ts';

let redis: RedisServer;
before(async () => {
  redis = await startRedis();
});
after(async () => {
  await redis.stop();
});

const limited = (limits: KeyLimits): Promise<TestApi> =>
  startTestApi({
    redisUrl: redis.url,
    keys: [
      { key: 'a', tenant: 'a', limits },
      { key: 'b', tenant: 'b' },
    ],
  });

const ORDER = { endpoint: '/v1/chat/completions', completion_window: '24h' } as const;

const create = (client: OpenAI, input: string | number = 'file-x'): Promise<OpenAI.Batch> => {
  if (typeof input === 'string') return client.batches.create({ ...ORDER, input_file_id: input });
  const requests = Array.from({ length: input }, (_, at) =>
    JSON.parse(requestLine('a', `doc-${at}`, { model: 'invoices' })),
  );
  return client.batches.create({ ...ORDER, requests } as never);
};

/** How many of them were done; the others were refused by the limit. */
async function done(all: readonly Promise<unknown>[]): Promise<number> {
  const settled = await Promise.allSettled(all);
  for (const one of settled) {
    if (one.status === 'fulfilled') continue;
    assert.ok(one.reason instanceof OpenAI.RateLimitError, String(one.reason));
    assert.equal(one.reason.code, 'tenant_limit_reached');
    assert.ok(Number(one.reason.headers.get('retry-after')) > 0);
  }
  return settled.filter(({ status }) => status === 'fulfilled').length;
}

const times = <Value>(count: number, make: (at: number) => Value): Value[] =>
  Array.from({ length: count }, (_, at) => make(at));

const fileOf = (bytes: number): File => {
  const text = `${JSON.stringify({ custom_id: 'x'.repeat(bytes - 17) })}\n`;
  return new File([text], 'a.jsonl');
};

/** Everything of this namespace goes, as by FLUSHALL, and the batches come back, as in a recovery. */
async function wipe(api: TestApi, batches: readonly string[]): Promise<void> {
  const { client } = api.store;
  const keys = await client.keys(`{${api.place.namespace}}*`);
  await client.del(...keys);
  await api.recover();
  for (const id of batches) await admit(api.store, id, { tenant: 'a', createdAtMs: 1, expiresAtMs: 9e15 });
}

test('of creates at once as many are made as there may be open batches, whichever process is asked', async () => {
  await using api = await limited({ open_batches: 3 });
  await using other = await startTestApi({ redisUrl: redis.url, place: api.place });
  const clients = [api.client('a'), other.client('a')];
  assert.equal(await done(times(30, (at) => create(clients[at % 2] as OpenAI))), 3);
  assert.equal((await api.client('a').batches.list()).data.length, 3);
  // Of the refused ones nothing is noted, and none of them keeps anybody out.
  assert.equal((await readWork(api.store, 'a')).length, 3);
  const [first] = (await api.client('a').batches.list()).data;
  await api.client('a').batches.cancel(first?.id ?? '');
  assert.equal(await done(times(10, () => create(clients[0] as OpenAI))), 1);
  assert.equal(await done(times(5, () => create(api.client('b')))), 5, 'others have no limit');
});

test('the same create again is not refused, whatever is open', async () => {
  await using api = await limited({ open_batches: 1 });
  const same = (): Promise<OpenAI.Batch> =>
    api.client('a').batches.create({ ...ORDER, input_file_id: 'file-x' }, { headers: { 'Idempotency-Key': 'k' } });
  const made = await Promise.all(times(8, same));
  assert.equal(new Set(made.map(({ id }) => id)).size, 1);
  assert.equal((await same()).id, made[0]?.id);
  assert.equal(await done([create(api.client('a'))]), 0);
});

test('queued documents are counted before they are validated, as many as their files have lines', async () => {
  await using api = await limited({ queued_documents: 10 });
  const client = api.client('a');
  assert.equal(await done(times(12, () => create(client, 4))), 2);
  const file = await client.files.create({ file: new File(['{"a":1}\n\n{"b":2}\n'], 'a.jsonl'), purpose: 'batch' });
  assert.equal(await done([create(client, file.id)]), 0, '8 are queued, 3 lines are more than 2');
  const [last, first] = (await client.batches.list()).data.map(({ id }) => id);
  await close(api.store, first ?? '', 'cancelled');
  // What a validated batch has left is what counts, also where it has fewer documents than its file has lines.
  await api.store.client.hset(api.store.keys.batch(last ?? ''), { phase: 'open', total: 4, completed: 2, failed: 1 });
  assert.equal(await done([create(client, file.id)]), 1);
  assert.equal(await done([create(client, 7)]), 0);
  assert.equal(await done([create(client, 6)]), 1);
  const never = create(client, 11);
  await assert.rejects(never, (error: unknown) => {
    assert.ok(error instanceof OpenAI.RateLimitError);
    return error.headers.get('x-should-retry') === 'false';
  });
});

test('of uploads at once as many are stored as fit, and inline requests count as well', async () => {
  await using api = await limited({ stored_bytes: 20_000 });
  await using other = await startTestApi({ redisUrl: redis.url, place: api.place });
  const clients = [api.client('a'), other.client('a')];
  const upload = (at: number): Promise<unknown> =>
    (clients[at % 2] as OpenAI).files.create({ file: fileOf(9_620), purpose: 'batch' });
  assert.equal(await done(times(20, upload)), 2);
  const files = (await api.client('a').files.list()).data;
  assert.deepEqual(
    files.map(({ bytes }) => bytes),
    [9_620, 9_620],
  );
  // 760 bytes are left: one of these.
  assert.equal(await done(times(6, () => create(api.client('a'), 4))), 1);
  await api.client('a').files.delete(files[0]?.id ?? '');
  assert.equal(await done(times(4, upload)), 1);
  assert.equal(await done([api.client('b').files.create({ file: fileOf(50_000), purpose: 'batch' })]), 1);
});

test('what is being stored is known anew after Redis was wiped, and goes with its sender', async () => {
  await using api = await limited({ stored_bytes: 20_000 });
  const client = api.client('a');
  await client.files.create({ file: fileOf(9_000), purpose: 'batch' });
  await wipe(api, []);
  assert.equal(await done(times(4, () => client.files.create({ file: fileOf(9_000), purpose: 'batch' }))), 1);
  const broken = new File([`{"custom_id":"${'x'.repeat(1_900)}`], 'a.jsonl');
  for (let time = 0; time < 3; time += 1) {
    await assert.rejects(client.files.create({ file: broken, purpose: 'batch' }), OpenAI.BadRequestError);
  }
  assert.equal(await done([client.files.create({ file: fileOf(2_000), purpose: 'batch' })]), 1);
});

test('what a tenant has in work is known anew after Redis was wiped', async () => {
  await using api = await limited({ open_batches: 2 });
  const client = api.client('a');
  const made = [await create(client), await create(client)].map(({ id }) => id);
  await wipe(api, made);
  assert.equal(await done(times(5, () => create(client))), 0);
  await close(api.store, made[0] ?? '', 'cancelled');
  assert.equal(await done(times(5, () => create(client))), 1);
});

test('the place of a creator that died goes with its lease, unless there is such a batch by then', async () => {
  await using api = await limited({ open_batches: 1 });
  const client = api.client('a');
  const { keys, client: commands } = api.store;
  await knowWork(api.store, 'a', []);
  const died = `batch_${'1'.repeat(32)}`;
  await reserveWork(api.store, 'a', { id: died, token: 't', documents: 1 });
  assert.equal(await done([create(client)]), 0, 'its lease runs');
  const [noted] = await readWork(api.store, 'a');
  await commands.hset(keys.work('a'), died, `${noted?.place} 1 1 t`);
  const { id } = await create(client);
  assert.deepEqual(
    (await readWork(api.store, 'a')).map((one) => one.id),
    [id],
    'it died before the manifest',
  );
  // And behind the manifest, before Redis was told: the dispatcher finds it by its open mark.
  await commands.del(keys.batch(id));
  await commands.hset(keys.work('a'), id, `1 1 1 t`);
  assert.equal(await done([create(client)]), 0);
  // Its end may have gone unseen too, as Redis forgets a batch that has ended.
  const nothing = { total: 0, model: null, counts: NO_COUNTS, pages: [], outputFileId: null, errorFileId: null };
  const ended = { outcome: 'failed', inProgressAtMs: null, closedAtMs: 2, endedAtMs: 3, errors: [], ...nothing };
  await api.storage.create(KEYS.final(id), Buffer.from(JSON.stringify({ v: RECORD_VERSION, ...ended })));
  assert.equal(await done([create(client)]), 1);
});

test('a retry takes its documents and the bytes of its input of what its tenant may have', async () => {
  const line = (at: number): string => requestLine('a', `doc-${at}`, { model: 'invoices' });
  const bytes = Buffer.byteLength(`${line(0)}\n`);
  for (const limits of [{ stored_bytes: 3 * bytes }, { open_batches: 0 }, { queued_documents: 1 }]) {
    await using api = await startTestApi({
      redisUrl: redis.url,
      keys: [
        { key: 'free', tenant: 'a' },
        { key: 'a', tenant: 'a', limits },
      ],
    });
    const { id } = await create(api.client('free'), 2);
    await endFailed(api, id, 2);
    const ask = (): Promise<unknown> => api.client('a').post(`/batches/${id}/retry`);
    assert.equal(await done(times(4, ask)), 0, JSON.stringify(limits));
    assert.equal((await api.client('a').files.list({ purpose: 'batch' })).data.length, 1, 'nothing is stored');
    assert.equal(await done([api.client('free').post(`/batches/${id}/retry`)]), 1);
    assert.equal(await done([ask()]), 1, 'the retry that there is is shown');
  }
});

/** Writes what the dispatcher writes of a batch whose documents all failed. */
async function endFailed(api: TestApi, batch: string, documents: number): Promise<void> {
  const { inputFileId } = JSON.parse(Buffer.from((await api.storage.read(KEYS.manifest(batch))) ?? []).toString()) as {
    inputFileId: string;
  };
  const size = (await api.storage.size(KEYS.fileBytes(inputFileId))) ?? 0;
  const lines = times(documents, (at): PageLine => ({ part: 'error', text: `{"id":"${resultLineId(batch, at)}"}` }));
  const page = writePage(0, lines, { counts: NO_COUNTS, waits: {} });
  await api.storage.create(KEYS.page(batch, 0), page.bytes);
  const pages = [[0, documents, 0, size, 0]];
  await api.put(KEYS.validated(batch), { validatedAtMs: 1, total: documents, cascades: ['invoices'], pages });
  await api.put(KEYS.final(batch), {
    outcome: 'completed',
    total: documents,
    model: 'invoices',
    counts: NO_COUNTS,
    inProgressAtMs: 1,
    closedAtMs: 2,
    endedAtMs: 3,
    errors: [],
    pages: [[page.footer.outputBytes, page.footer.errorBytes]],
    outputFileId: null,
    errorFileId: resultFileId(batch, 'error'),
  });
  await close(api.store, batch, 'cancelled');
}

test('a create costs as much whatever other tenants have in work', async () => {
  await using api = await limited({ open_batches: 3, queued_documents: 100 });
  const client = api.client('a');
  await create(client);
  const commandsOf = async (act: () => Promise<unknown>): Promise<number> => {
    const count = async (): Promise<number> =>
      Number(/total_commands_processed:(\d+)/.exec(await api.store.client.info('stats'))?.[1]);
    const until = await count();
    await act();
    return (await count()) - until;
  };
  const alone = await commandsOf(() => create(client));
  for (let at = 0; at < 500; at += 1) {
    const id = `batch_${String(at).padStart(32, '0')}`;
    await admit(api.store, id, { tenant: 'b', createdAtMs: 1, expiresAtMs: 9e15 });
  }
  const among = await commandsOf(() => create(client));
  assert.ok(among <= alone + 20, `${among} commands among 500 batches, ${alone} alone`);
});

test('a file that the version before stored has as many documents at most as its bytes can hold', async () => {
  await using api = await limited({});
  const { id } = await api.client('a').files.create({ file: fileOf(640), purpose: 'batch' });
  const record = JSON.parse(Buffer.from((await api.storage.read(KEYS.fileRecord(id))) ?? []).toString()) as object;
  assert.equal((record as { lines?: number }).lines, 1);
  const old = `file-${'0'.repeat(32)}`;
  const { lines: _lines, ...without } = { ...record, id: old } as { lines?: number };
  await api.storage.create(KEYS.fileRecord(old), Buffer.from(JSON.stringify(without)));
  const records = new Records(api.storage);
  assert.deepEqual([await documentsOf(records, 'a', id), await documentsOf(records, 'a', old)], [1, 10]);
  assert.equal(await documentsOf(records, 'b', id), 0, "another's is unknown");
});
