import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  KEYS,
  NO_COUNTS,
  resultFileId,
  resultLineId,
  retryFileId,
  retryIdOf,
  writePage,
  type PageLine,
} from '@spillway/core';
import fc from 'fast-check';
import OpenAI from 'openai';
import { requestLine } from '../support/request-line.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { startTestApi, type TestApi } from './api-under-test.ts';

let redis: RedisServer;
let api: TestApi;

before(async () => {
  redis = await startRedis();
  api = await startTestApi({
    redisUrl: redis.url,
    keys: [
      { key: 'a', tenant: 'default' },
      { key: 'b', tenant: 'other' },
    ],
  });
});
after(async () => {
  await api[Symbol.asyncDispose]();
  await redis.stop();
});

const client = (): OpenAI => api.client('a');
/** What became of a document: `waits` is of a page that is not sealed. */
type Fate = 'answered' | 'failed' | 'bad' | 'waits';

type Ended = {
  readonly fates: readonly Fate[];
  /** Documents of a page. */
  readonly pageDocuments?: number;
  readonly hasEnded?: boolean;
};

/** Its line, which names the batch that it is of. */
const textOf = (batch: string, document: number, fate: Fate): string =>
  JSON.stringify({ id: resultLineId(batch, document), fate, text: `ä🙂${batch}` });

/** Writes what the dispatcher writes of a batch in work, or of an ended one. */
async function end(batch: string, { fates, pageDocuments = 256, hasEnded = true }: Ended): Promise<void> {
  const { inputFileId } = JSON.parse(Buffer.from((await api.storage.read(KEYS.manifest(batch))) ?? []).toString()) as {
    inputFileId: string;
  };
  const input = Buffer.from((await api.storage.read(KEYS.fileBytes(inputFileId))) ?? []).toString();
  const lines = input.split('\n').slice(0, -1);
  assert.equal(lines.length, fates.length, 'a document for each line of the input');
  const pages: number[][] = [];
  const sizes: [number, number][] = [];
  for (let first = 0, offset = 0; first < lines.length; first += pageDocuments) {
    const own = lines.slice(first, first + pageDocuments);
    const bytes = Buffer.byteLength(`${own.join('\n')}\n`);
    pages.push([first, own.length, offset, bytes, first]);
    offset += bytes;
    const some = own.map((_, place): PageLine => {
      const fate = fates[first + place] as Fate;
      return { part: fate === 'answered' ? 'output' : 'error', text: textOf(batch, first + place, fate) };
    });
    const page = writePage(pages.length - 1, some, { counts: NO_COUNTS, waits: {} });
    sizes.push([page.footer.outputBytes, page.footer.errorBytes]);
    const isSealed = !own.some((_, place) => fates[first + place] === 'waits');
    if (isSealed) await api.storage.create(KEYS.page(batch, pages.length - 1), page.bytes);
  }
  const bits = Buffer.alloc(Math.ceil(fates.length / 8));
  for (const [document, fate] of fates.entries()) {
    if (fate === 'bad') bits[document >> 3] = (bits[document >> 3] ?? 0) | (1 << (document & 7));
  }
  const badLines = {
    lineBytes: 1_000,
    count: fates.filter((fate) => fate === 'bad').length,
    bits: bits.toString('base64'),
  };
  const total = fates.length;
  await api.put(KEYS.validated(batch), { validatedAtMs: 1, total, cascades: ['invoices'], pages, badLines });
  await api.store.client.del(api.store.keys.batch(batch));
  if (!hasEnded) return;
  await api.put(KEYS.final(batch), {
    outcome: 'completed',
    total,
    model: 'invoices',
    counts: NO_COUNTS,
    inProgressAtMs: 1,
    closedAtMs: 2,
    endedAtMs: 3,
    errors: [],
    pages: sizes,
    outputFileId: resultFileId(batch, 'output'),
    errorFileId: resultFileId(batch, 'error'),
  });
}

/** Ends a batch that came to nothing: it was refused, or cancelled before it was validated. */
async function refuse(batch: string): Promise<void> {
  await api.store.client.del(api.store.keys.batch(batch));
  const times = { inProgressAtMs: null, closedAtMs: 2, endedAtMs: 3 };
  const nothing = { total: 0, model: null, counts: NO_COUNTS, pages: [], outputFileId: null, errorFileId: null };
  await api.put(KEYS.final(batch), { outcome: 'failed', ...nothing, ...times, errors: [] });
}

/** A batch of so many lines; some are blank. */
async function create(documents: number): Promise<string> {
  const lines = Array.from({ length: documents }, (_, at) => requestLine('a', `doc-${at}`, { model: 'invoices' }));
  const file = await client().files.create({ file: new File([`${lines.join('\n')}\n`], 'a.jsonl'), purpose: 'batch' });
  const order = { input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h' } as const;
  return (await client().batches.create(order)).id;
}

const retry = (id: string, body: object = {}, key = 'a', idempotencyKey?: string): Promise<OpenAI.Batch> =>
  api.client(key).post(`/batches/${id}/retry`, {
    body,
    ...(idempotencyKey === undefined ? {} : { headers: { 'Idempotency-Key': idempotencyKey } }),
  });

type Line = { readonly id: string; readonly fate: Fate };
type Results = {
  readonly data: Line[];
  readonly cursor: string;
  readonly has_more: boolean;
  readonly complete: boolean;
};

const results = (id: string, query: object, key = 'a'): Promise<Results> =>
  api.client(key).get(`/batches/${id}/results`, { query });

test('however often, at the same time and under whatever key: a batch has one retry, one input, and is listed once', async () => {
  const id = await create(300);
  await end(id, {
    fates: Array.from({ length: 300 }, (_, at) => (at % 3 === 0 ? 'failed' : 'answered')),
    pageDocuments: 50,
  });
  const known = new Set(await api.keys());
  const asked = await Promise.all(
    Array.from({ length: 8 }, (_, at) => retry(id, {}, 'a', at % 2 === 0 ? `k${at}` : undefined)),
  );
  asked.push(await retry(id, { completion_window: '1h' }), await retry(id));
  assert.deepEqual(new Set(asked.map((batch) => batch.id)), new Set([retryIdOf('default', id)]));
  const [one] = asked;
  const made = (await api.keys()).filter((key) => key.startsWith('files/') && !known.has(key));
  const file = retryFileId(retryIdOf('default', id));
  assert.deepEqual(made.toSorted(), [KEYS.fileBytes(file), KEYS.fileRecord(file)].toSorted());
  assert.equal(one?.input_file_id, file);
  assert.equal(one?.completion_window, '24h');
  const input = await (await client().files.content(file)).text();
  assert.deepEqual(
    input
      .split('\n')
      .slice(0, -1)
      .map((line) => (JSON.parse(line) as { custom_id: string }).custom_id),
    Array.from({ length: 100 }, (_, at) => `doc-${3 * at}`),
  );
  const listed = (await client().batches.list({ limit: 100 })).data.filter((batch) => batch.id === one?.id);
  assert.equal(listed.length, 1);
  await assert.rejects(retry(id, {}, 'b'), OpenAI.NotFoundError);
});

test('a retry that died before its manifest stood is gone on with: its input is adopted', async () => {
  const id = await create(4);
  await end(id, { fates: ['failed', 'answered', 'failed', 'answered'] });
  const made = await retry(id);
  for (const key of [KEYS.manifest(made.id), KEYS.openMark(made.id), KEYS.fileRecord(made.input_file_id)]) {
    await api.storage.remove(key);
  }
  // Another process, which remembers nothing.
  await using other = await startTestApi({ redisUrl: redis.url });
  for (const key of await api.keys()) {
    const bytes = await api.storage.read(key);
    if (bytes !== null && !key.startsWith('known/')) await other.storage.create(key, bytes);
  }
  const again = await other.client().post<OpenAI.Batch>(`/batches/${id}/retry`);
  assert.deepEqual([again.id, again.input_file_id], [made.id, made.input_file_id]);
  assert.equal((await (await other.client().files.content(again.input_file_id)).text()).split('\n').length, 3);
});

test('what cannot be retried is refused: nothing failed, bad lines only, an input that is gone', async () => {
  const fine = await create(2);
  await assert.rejects(retry(fine), /with status 'validating'/);
  await end(fine, { fates: ['answered', 'answered'] });
  await assert.rejects(retry(fine), /has no failed requests/);
  const bad = await create(2);
  await end(bad, { fates: ['bad', 'answered'] });
  await assert.rejects(retry(bad), /bad lines only/);
  const gone = await create(2);
  await end(gone, { fates: ['failed', 'answered'] });
  const { input_file_id: input } = await client().batches.retrieve(gone);
  await api.storage.remove(KEYS.fileBytes(input));
  await assert.rejects(retry(gone), (error) => {
    assert.ok(error instanceof OpenAI.ConflictError);
    assert.equal(error.code, 'input_gone');
    return true;
  });
});

test('an over-long line of blanks is a document, a bad one: what stands behind it is sent again as it was', async () => {
  const [a, b, c] = ['a', 'b', 'c'].map((id) => requestLine('a', id, { model: 'invoices' }));
  const text = [a, ' '.repeat(2_000), b, c, ''].join('\n');
  const file = await client().files.create({ file: new File([text], 'a.jsonl'), purpose: 'batch' });
  const order = { input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h' } as const;
  const { id } = await client().batches.create(order);
  await end(id, { fates: ['answered', 'bad', 'failed', 'answered'] });
  const { input_file_id: input } = await retry(id);
  assert.equal(await (await client().files.content(input)).text(), `${b}\n`);
});

test('a retry that came to nothing is gone on with: all of its requests are sent again, and joined', async () => {
  const root = await create(4);
  await end(root, { fates: ['failed', 'answered', 'bad', 'failed'], pageDocuments: 2 });
  const first = await retry(root);
  await assert.rejects(retry(first.id), /with status 'validating'/);
  await refuse(first.id);
  const second = await retry(first.id);
  assert.equal(second.input_file_id, first.input_file_id);
  assert.equal((await retry(root)).id, first.id);
  await refuse(second.id);
  // A file that was deleted is made again of what failed first.
  await client().files.delete(first.input_file_id);
  const third = await retry(second.id);
  assert.notEqual(third.input_file_id, first.input_file_id);
  const input = await (await client().files.content(third.input_file_id)).text();
  assert.deepEqual(input.match(/doc-\d/g), ['doc-0', 'doc-3']);
  const idsOf = async (): Promise<string[]> => (await results(root, { with: 'retries' })).data.map(({ id }) => id);
  const own = [0, 1, 2, 3].map((document) => resultLineId(root, document));
  assert.deepEqual(await idsOf(), own);
  await end(third.id, { fates: ['failed', 'answered'] });
  assert.deepEqual(await idsOf(), [...own.slice(0, 3), resultLineId(third.id, 1)]);
  const fourth = await retry(third.id);
  await end(fourth.id, { fates: ['answered'] });
  assert.deepEqual(await idsOf(), [resultLineId(fourth.id, 0), ...own.slice(1, 3), resultLineId(third.id, 1)]);
  assert.deepEqual((await results(first.id, { with: 'retries' })).data, []);
});

test('a chain of retries is not endless', async () => {
  let id = await create(1);
  for (let depth = 1; depth <= 32; depth += 1) {
    await end(id, { fates: ['failed'] });
    id = (await retry(id)).id;
  }
  await end(id, { fates: ['failed'] });
  await assert.rejects(retry(id), /the last of 32 retries/);
});

test('with its retries, a batch reads as if each request had succeeded where it did: any chain, any cursor', async () => {
  const fate = fc.constantFrom<Fate>('answered', 'failed', 'failed', 'bad');
  const level = fc.record({
    fates: fc.array(fate, { minLength: 24, maxLength: 24 }),
    pageDocuments: fc.integer({ min: 1, max: 9 }),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(level, { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 1, max: 9 }),
      fc.boolean(),
      async (levels, limit, isLastInWork) => {
        const documents = levels[0]?.fates.length ?? 0;
        const root = await create(documents);
        const ids = [root];
        /** The documents of the root that the present batch holds, and the line that each has by now. */
        let places = Array.from({ length: documents }, (_, at) => at);
        const lines: string[] = [];
        for (const [depth, { fates: drawn, pageDocuments }] of levels.entries()) {
          const id = ids.at(-1) ?? '';
          const isInWork = depth > 0 && depth === levels.length - 1 && isLastInWork;
          const fates = places.map((_, at): Fate => (isInWork && at % 5 === 1 ? 'waits' : (drawn[at] ?? 'answered')));
          await end(id, { fates, pageDocuments, hasEnded: !isInWork });
          for (const [document, place] of places.entries()) {
            const pageOf = Math.floor(document / pageDocuments);
            const isSealed = !fates.some((one, at) => one === 'waits' && Math.floor(at / pageDocuments) === pageOf);
            if (depth === 0 || (isSealed && fates[document] === 'answered')) {
              lines[place] = textOf(id, document, fates[document] as Fate);
            }
          }
          places = places.filter((_, at) => fates[at] === 'failed');
          if (places.length === 0 || isInWork || depth === levels.length - 1) break;
          ids.push((await retry(id)).id);
        }
        const seen: Line[] = [];
        let page: Results;
        let cursor = 'r_0';
        do {
          page = await results(root, { with: 'retries', limit, after: cursor });
          assert.ok(page.data.length <= limit);
          seen.push(...page.data);
          cursor = page.cursor;
        } while (page.has_more);
        assert.deepEqual(
          seen.map((line) => JSON.stringify(line)),
          lines,
        );
        const hasEnded = !(ids.length > 1 && ids.length === levels.length && isLastInWork);
        assert.equal(page.complete, hasEnded);
        const own = await results(root, { limit: 1_000 });
        assert.deepEqual(
          own.data.map(({ id }) => id),
          lines.map((_, at) => resultLineId(root, at)),
        );
        assert.equal(own.complete, true);
      },
    ),
    { numRuns: 25 },
  );
});

test('a page of a retry that is gone, with the files that it was of, puts nothing else out of step', async () => {
  const root = await create(6);
  await end(root, { fates: Array.from({ length: 6 }, () => 'failed') });
  const first = (await retry(root)).id;
  await end(first, { fates: ['failed', 'answered', 'failed', 'answered', 'failed', 'answered'], pageDocuments: 2 });
  const second = (await retry(first)).id;
  await end(second, { fates: ['answered', 'answered', 'answered'] });
  await api.storage.remove(KEYS.page(first, 1));
  const { data, complete } = await results(root, { with: 'retries' });
  assert.deepEqual(
    data.map(({ id }) => id),
    [
      resultLineId(second, 0),
      resultLineId(first, 1),
      resultLineId(root, 2),
      resultLineId(root, 3),
      resultLineId(second, 2),
      resultLineId(first, 5),
    ],
  );
  assert.equal(complete, true);
});

test("a tenant reads its own batches' retries only, and nothing else can be joined", async () => {
  const id = await create(1);
  await end(id, { fates: ['failed'] });
  await assert.rejects(results(id, { with: 'retries' }, 'b'), OpenAI.NotFoundError);
  await assert.rejects(results(id, { with: 'secrets' }), (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError);
    assert.equal(error.param, 'with');
    return true;
  });
});
