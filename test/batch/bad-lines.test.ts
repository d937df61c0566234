import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { KEYS, ON_BAD_LINES_KEY, RECORD_VERSION, RECORDS, type Manifest } from '@spillway/core';
import { enqueuePage, fullPages, readBatch, readPage } from '@spillway/redis';
import {
  createRecord,
  InputCheck,
  openStorage,
  Records,
  type CheckedInput,
  type ReadPart,
  type Storage,
} from '@spillway/storage';
import fc from 'fast-check';
import type { OpenAI } from 'openai';
import { addDocuments } from '../../services/dispatcher/src/document-jobs.ts';
import { readDocuments } from '../../services/dispatcher/src/input.ts';
import { dispatcherParts } from '../support/dispatcher.ts';
import { storeInput } from '../support/inputs.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { markRecovered, openBatch } from '../support/stores.ts';
import { requestLine } from '../support/request-line.ts';
import { System, type ResultLine } from '../support/system.ts';

const LIMITS = { lines: 100_000, lineBytes: 1_024 };
const TO_ERROR_FILE = { [ON_BAD_LINES_KEY]: 'error_file' };

const partsOf =
  ({ inputFileId }: Manifest): ReadPart =>
  (range) =>
    storage.read(KEYS.fileBytes(inputFileId), range);

let redis: RedisServer;
let directory: string;
let storage: Storage;
let batches = 0;

before(async () => {
  redis = await startRedis();
  directory = await mkdtemp(join(tmpdir(), 'spillway-bad-lines-'));
  storage = await openStorage(`file://${directory}`);
});
after(async () => {
  await storage[Symbol.asyncDispose]();
  await redis.stop();
  await rm(directory, { recursive: true, force: true });
});

const newId = (): string => `batch_${String((batches += 1)).padStart(32, '0')}`;

/** Validates an input as the dispatcher does, in chunks of some bytes. */
async function check(
  id: string,
  input: Buffer,
  { lineBytes = LIMITS.lineBytes, chunkBytes = 64 * 1024 } = {},
): Promise<CheckedInput> {
  const manifest = await storeInput(storage, id, input, TO_ERROR_FILE);
  const checked = new InputCheck(partsOf(manifest), manifest, { ...LIMITS, lineBytes });
  for (let at = 0; at < input.length; at += chunkBytes)
    await Array.fromAsync(checked.read(input.subarray(at, at + chunkBytes)));
  return await checked.finish();
}

/** Writes the record of a validation, and reads the plan from it. */
async function planOf(id: string, { total, pages, cascades, badLines }: CheckedInput) {
  await createRecord(storage, KEYS.validated(id), RECORDS.validated, {
    v: RECORD_VERSION,
    validatedAtMs: 1,
    total,
    cascades: [...cascades],
    pages: [...pages],
    ...(badLines === null ? {} : { badLines }),
  });
  const plan = await new Records(storage).plan(id);
  assert.ok(plan !== null);
  return plan;
}

/** What a line is, and what must become of it: the id of its line, and its error's code. */
type Kind = readonly [text: (id: string) => string, customId: (id: string) => string | null, code: string | null];

const own = (id: string): string => id;
const none = (): null => null;
const KINDS: readonly Kind[] = [
  [(id) => requestLine('a', id), own, null],
  [() => '{"custom_id":', none, 'invalid_json_line'],
  [(id) => requestLine('a', id).replace('"url":"/v1', '"url":"/v2'), own, 'invalid_url'],
  [(id) => requestLine('a', id, { model: 'none' }), own, 'model_not_found'],
  [(id) => requestLine('x'.repeat(2_000), id), none, 'line_too_large'],
  [(id) => requestLine('x'.repeat(200_000), id), none, 'line_too_large'],
];

test('any mix of lines: each document is read again as it was validated, with its line, in order', async () => {
  const line = fc.record({
    kind: fc.nat(KINDS.length - 1),
    id: fc.integer({ min: 0, max: 12 }),
    isBlankBefore: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(line, { minLength: 1, maxLength: 40 }),
      fc.integer({ min: 1, max: 9_000 }),
      async (lines, chunkBytes) => {
        const used = new Set<string>();
        let text = '';
        let number = 0;
        const expected = lines.map(({ kind, id, isBlankBefore }) => {
          const [textOf, idOf, code] = KINDS[kind] as Kind;
          const customId = `doc-${id}`;
          if (isBlankBefore) text += ' \r\n';
          text += `${textOf(customId)}\n`;
          number += isBlankBefore ? 2 : 1;
          if (code !== null) return [idOf(customId), code, number];
          if (used.has(customId)) return [null, 'duplicate_custom_id', number];
          used.add(customId);
          return [customId, null, null];
        });
        const id = newId();
        const checked = await check(id, Buffer.from(text), { chunkBytes });
        assert.deepEqual([checked.errors, checked.total], [[], lines.length]);
        const plan = await planOf(id, checked);
        const found: unknown[] = [];
        for (const page of plan.pages) {
          for (const document of await readDocuments(storage, plan, page)) {
            found.push(
              document.kind === 'bad'
                ? [document.customId, document.error.code, document.error.line]
                : [document.request.customId, null, null],
            );
          }
        }
        assert.deepEqual(found, expected);
        assert.equal(plan.badLines?.count ?? 0, expected.filter(([, code]) => code !== null).length);
      },
    ),
    { numRuns: 60 },
  );
});

test('a limit of lines that was changed after the validation changes nothing', async () => {
  const id = newId();
  const lines = [requestLine('a', 'a'), requestLine('x'.repeat(3_000), 'b'), requestLine('c', 'c')];
  const plan = await planOf(id, await check(id, Buffer.from(lines.join('\n'))));
  const [page] = plan.pages;
  assert.ok(page !== undefined);
  const kinds = (await readDocuments(storage, plan, page)).map(({ kind }) => kind);
  assert.deepEqual(kinds, ['request', 'bad', 'request']);
});

test('a line far over the limit is planned only so far that it is seen to be too large', async () => {
  const id = newId();
  const lines = [requestLine('a', 'a'), 'x'.repeat(30_000_000), requestLine('c', 'c')];
  const checked = await check(id, Buffer.from(lines.join('\n')), { lineBytes: 5_000_000 });
  assert.deepEqual(
    checked.pages.map(({ documents }) => documents),
    [1, 1, 1],
  );
  assert.equal(checked.pages[1]?.bytes, 5_000_008);
  const plan = await planOf(id, checked);
  const read = await Promise.all(plan.pages.map((page) => readDocuments(storage, plan, page)));
  assert.deepEqual(
    read.flat().map((document) => (document.kind === 'bad' ? document.error.code : document.request.customId)),
    ['a', 'line_too_large', 'c'],
  );
});

test('a hundred thousand duplicates are found in one pass, of one id or each of another', async () => {
  const lines = Array.from({ length: 50_000 }, (_, at) => requestLine('a', `doc-${at}`));
  for (const [input, bad] of [
    [[...lines, ...lines], 50_000],
    [Array.from({ length: 100_000 }, () => lines[0]), 99_999],
  ] as const) {
    const startedAt = performance.now();
    const checked = await check(newId(), Buffer.from(input.join('\n')));
    assert.deepEqual([checked.total, checked.badLines?.count], [100_000, bad]);
    assert.ok(performance.now() - startedAt < 30_000, 'it does not grow with the square of them');
  }
});

test('what the file as a whole is guilty of fails the batch: too many lines, none, or another encoding', async () => {
  const codes = async (input: string | Buffer, lines = LIMITS.lines): Promise<unknown> => {
    const bytes = Buffer.from(input as string);
    const manifest = await storeInput(storage, newId(), bytes, TO_ERROR_FILE);
    const checked = new InputCheck(partsOf(manifest), manifest, { ...LIMITS, lines });
    await Array.fromAsync(checked.read(bytes));
    return (await checked.finish()).errors.map(({ code, line }) => [code, line]);
  };
  assert.deepEqual(await codes('{}\n{}\n{}\n', 2), [['too_many_tasks', null]]);
  assert.deepEqual(await codes(' \n\n'), [['empty_file', null]]);
  const text = `${requestLine('a', 'a')}\n${requestLine('b', 'b')}\n`;
  for (const mark of ['\uFEFF', '']) {
    const little = Buffer.from(`${mark}${text}`, 'utf16le');
    for (const bytes of [little, Buffer.from(little).swap16()]) {
      assert.deepEqual(await codes(bytes), [['invalid_utf8', null]]);
    }
  }
});

test('whoever enqueues a page, and however often: a bad line is settled once, and counted once', async () => {
  await using parts = await dispatcherParts(redis, 'bad', directory);
  await markRecovered(parts.redis);
  const id = newId();
  const lines = ['{}', requestLine('a', 'a'), '{', requestLine('b', 'a')];
  const plan = await planOf(id, await check(id, Buffer.from(lines.join('\n'))));
  const [page] = plan.pages;
  assert.ok(page !== undefined);
  await openBatch(parts.redis, id, plan.total, 1);
  const target = { ...parts, sampling: null };
  const documents = await readDocuments(storage, plan, page);
  // Died after a part of it; two at a time, as a leader that was thought dead; and the sweep after them.
  await enqueuePage(parts.redis, id, 0, page, 1_000);
  await addDocuments(target, { plan, page: 0, documents, places: [0], loads: null });
  const all = { plan, page: 0, documents, places: [0, 1, 2, 3], loads: null };
  await Promise.all([addDocuments(target, all), addDocuments(target, all)]);
  await addDocuments(target, { plan, page: 0, documents, places: [2], loads: null });
  const { lines: settled, counts } = await readPage(parts.redis, id, 0);
  const errorOf = (place: number) => (JSON.parse(settled.get(place)?.text ?? 'null') as ResultLine | null)?.error;
  assert.deepEqual(new Set(settled.keys()), new Set([0, 2, 3]));
  assert.deepEqual(
    [0, 2, 3].map((place) => [errorOf(place)?.code, errorOf(place)?.param, errorOf(place)?.line]),
    [
      ['missing_required_parameter', 'custom_id', 1],
      ['invalid_json_line', null, 3],
      ['duplicate_custom_id', 'custom_id', 4],
    ],
  );
  assert.deepEqual([counts.failed, (await readBatch(parts.redis, id))?.counts.failed], [3, 3]);
  assert.deepEqual(await fullPages(parts.redis), []);
  assert.equal(await parts.queues.waiting('drafter.small'), 1);
});

async function submit(system: System, lines: readonly string[], metadata: object = TO_ERROR_FILE, window = '24h') {
  const file = await system.client.files.create({ file: new File([lines.join('\n')], 'a.jsonl'), purpose: 'batch' });
  return await system.client.batches.create({
    input_file_id: file.id,
    endpoint: '/v1/chat/completions',
    completion_window: window as '24h',
    metadata: metadata as Record<string, string>,
  });
}

test('bad lines go to the error file, the others are answered; through the SDK from upload to retry', async () => {
  await using system = await System.start({
    env: { SPILLWAY_MAX_LINE_BYTES: '1024' },
    models: { large: { max_attempts: 1 } },
  });
  const lines = Array.from({ length: 600 }, (_, at) => {
    if (at % 100 === 3) return '{"custom_id":"broken"';
    if (at % 100 === 4) return requestLine('x'.repeat(5_000), `doc-${at}`);
    if (at % 100 === 5) return requestLine('again', `doc-${at - 5}`);
    if (at % 100 === 6) return requestLine('a', `doc-${at}`, { model: 'none' });
    if (at === 7) return requestLine('[[drafter unsure]] [[expert status 500 x1]]', 'doc-7');
    return requestLine(`${at}`, `doc-${at}`);
  });
  const batch = await system.settled((await submit(system, lines)).id);
  assert.deepEqual([batch.status, batch.errors], ['completed', null]);
  assert.deepEqual(batch.request_counts, { total: 600, completed: 575, failed: 25 });
  const errors = await system.lines(batch.error_file_id);
  const shown = errors.map(({ custom_id, error }) => [custom_id, error?.code, error?.line]);
  const expected = Array.from({ length: 6 }, (_, hundred) => {
    const at = 100 * hundred;
    const failed = hundred === 0 ? [['doc-7', undefined, undefined]] : [];
    return [
      [null, 'invalid_json_line', at + 4],
      [null, 'line_too_large', at + 5],
      [null, 'duplicate_custom_id', at + 6],
      [`doc-${at + 6}`, 'model_not_found', at + 7],
      ...failed,
    ];
  }).flat();
  assert.deepEqual(shown, expected);
  assert.match(errors[2]?.error?.message ?? '', /'doc-0'/);
  const report = await system.client.get<{ documents: object }>(`/batches/${batch.id}/report`);
  assert.deepEqual(
    { ...report.documents, accepted: 0, escalated: 0 },
    { total: 600, completed: 575, failed: 25, accepted: 0, escalated: 0, copied: 0, kept: 0, unfinished: 0 },
  );

  const again = await system.settled((await system.client.post<OpenAI.Batch>(`/batches/${batch.id}/retry`)).id);
  assert.deepEqual(again.request_counts, { total: 1, completed: 1, failed: 0 }, 'bad lines are left out');
  const joined = await system.client.get<{ data: ResultLine[] }>(`/batches/${batch.id}/results?with=retries`);
  assert.deepEqual([joined.data.length, joined.data[7]?.custom_id, joined.data[7]?.error], [600, 'doc-7', null]);
  assert.equal(joined.data[3]?.error?.code, 'invalid_json_line');
  for (const [customId, documents] of [
    ['doc-506', [506]],
    ['doc-500', [500]],
    ['doc-505', []],
  ] as const) {
    const path = `/batches/${batch.id}/results?custom_id=${customId}`;
    const one = await system.client.get<{ data: ResultLine[]; complete: boolean }>(path);
    const sought = documents.map((at) => joined.data[at]);
    assert.deepEqual([one.data, one.complete], [sought, true], 'as the index has it, which has no id of a duplicate');
  }

  const allBad = await system.settled(
    (
      await submit(
        system,
        Array.from({ length: 300 }, () => '{}'),
      )
    ).id,
  );
  assert.deepEqual([allBad.status, allBad.output_file_id, allBad.model], ['completed', null, null]);
  assert.deepEqual(allBad.request_counts, { total: 300, completed: 0, failed: 300 });
  assert.equal((await system.lines(allBad.error_file_id)).length, 300);
  await assert.rejects(system.client.post(`/batches/${allBad.id}/retry`), /bad lines only/);
  await assert.rejects(submit(system, lines, { [ON_BAD_LINES_KEY]: 'skip' }), /'fail' and 'error_file'/);
  assert.equal((await system.settled((await submit(system, lines, {})).id)).status, 'failed');
});

test('a batch that is cancelled says of each line once what it is: answered, bad or cancelled', async () => {
  await using system = await System.start({ drafter: { latencyMs: 50 } });
  // More than may wait at a time: its last pages are not enqueued when it is cancelled.
  const lines = Array.from({ length: 3_000 }, (_, at) =>
    at % 10 === 1 ? '{}' : requestLine('x'.repeat(5_000), `doc-${at}`),
  );
  const { id } = await submit(system, lines);
  await system.settled(id, ({ request_counts }) => (request_counts?.completed ?? 0) >= 20);
  await system.client.batches.cancel(id);
  const batch = await system.settled(id);
  assert.equal(batch.status, 'cancelled');
  const [output, errors] = [await system.lines(batch.output_file_id), await system.lines(batch.error_file_id)];
  const bad = errors.filter(({ error }) => error?.code === 'missing_required_parameter');
  const cancelled = errors.filter(({ error }) => error?.code === 'batch_cancelled');
  assert.deepEqual(
    bad.map(({ error }) => error?.line),
    Array.from({ length: 300 }, (_, at) => 10 * at + 2),
  );
  assert.ok(cancelled.length > 0);
  assert.equal(output.length + bad.length + cancelled.length, 3_000);
  assert.deepEqual(batch.request_counts, { total: 3_000, completed: output.length, failed: 300 });
});
