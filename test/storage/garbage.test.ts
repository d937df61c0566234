import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { KEYS, RECORDS } from '@spillway/core';
import { openLog } from '@spillway/runtime';
import { openStorage, readRecord, type Storage } from '@spillway/storage';
import OpenAI from 'openai';
import { collectGarbage } from '../../services/dispatcher/src/garbage.ts';
import { System, until } from '../support/system.ts';
import { docIds, wholeResults } from '../support/whole.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const log = openLog('garbage', 'silent');

const openData = (system: System): Promise<Storage> => openStorage(`file://${system.directory}/data`);

const collect = (storage: Storage, afterMs: number) =>
  collectGarbage({ storage, log, nowMs: Date.now() + afterMs, isShort: false, signal: new AbortController().signal });

test('bytes go an hour after their file, and not while a batch in work or an unexpired manifest names them', async () => {
  await using system = await System.start();
  await using storage = await openData(system);
  const unused = await system.submit(['[[hang]] a', 'b']);
  await system.drafterModel.waitForRequests(2);
  const spare = await system.client.files.create({ file: new File(['{}\n'], 'spare.jsonl'), purpose: 'batch' });
  const bytesOf = (id: string) => storage.size(KEYS.fileBytes(id));
  await system.client.files.delete(spare.id);
  await system.client.files.delete(unused.input_file_id);
  assert.deepEqual(await collect(storage, HOUR_MS / 2), { files: 0, batches: 0 });
  assert.notEqual(await bytesOf(spare.id), null, 'somebody may be in mid-download');
  assert.deepEqual(await collect(storage, 2 * HOUR_MS), { files: 1, batches: 0 });
  assert.equal(await bytesOf(spare.id), null);
  assert.equal(await storage.size(KEYS.fileRecord(spare.id)), null);
  // Long after its time, a batch that has not ended still needs its input.
  await collect(storage, 60 * DAY_MS);
  assert.notEqual(await bytesOf(unused.input_file_id), null);
  system.drafterModel.release();
  const batch = await system.settled(unused.id);
  await wholeResults(system, batch, docIds(2));
  await collect(storage, 2 * HOUR_MS);
  assert.notEqual(await bytesOf(unused.input_file_id), null, 'its manifest has not expired: it may be retried');
  assert.deepEqual(await collect(storage, 25 * HOUR_MS), { files: 1, batches: 0 });
  assert.equal(await bytesOf(unused.input_file_id), null);
  await wholeResults(system, await system.client.batches.retrieve(unused.id), docIds(2));
});

test('pages go with the last of their two files, the batch a month later', async () => {
  await using system = await System.start();
  await using storage = await openData(system);
  const { id } = await system.submit(['a', '[[drafter unsure]] [[expert status 400]] b']);
  const batch = await system.settled(id);
  const [output, errors] = [String(batch.output_file_id), String(batch.error_file_id)];
  await system.client.files.delete(output);
  await collect(storage, 20 * DAY_MS);
  assert.equal((await (await system.client.files.content(errors)).text()).includes('"doc-1"'), true);
  await storage.create(KEYS.index(id, 'a'), Buffer.from('of a validation that somebody was faster than'));
  await system.client.files.delete(errors);
  await collect(storage, 2 * HOUR_MS);
  assert.equal(await storage.size(KEYS.page(id, 0)), null);
  await assert.rejects(system.client.get(`/batches/${id}/results`), OpenAI.NotFoundError);
  assert.deepEqual(await storage.list(KEYS.indexes(id), { limit: 10 }), [], 'an index is of no use without its pages');
  await storage.create(KEYS.index(id, 'b'), Buffer.from('late'));
  assert.equal((await system.client.batches.retrieve(id)).status, 'completed');
  const told = [KEYS.atRisk(id), KEYS.riskMark(id), KEYS.riskHookDone(id, 'all')];
  const promise = [KEYS.promiseAtRisk(id), KEYS.promiseMark(id), KEYS.promiseHookDone(id, 'all'), KEYS.audit(id, 0)];
  for (const key of [...told, ...promise]) {
    await storage.create(key, Buffer.from('{}'));
  }
  // A pass that is killed once the manifest is gone.
  const dying = new Proxy(storage, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name);
      if (name !== 'remove') return typeof value === 'function' ? value.bind(target) : value;
      return async (key: string): Promise<void> => {
        if ((await target.size(KEYS.manifest(id))) === null) throw new Error('killed');
        await target.remove(key);
      };
    },
  });
  assert.equal((await collect(dying, 40 * DAY_MS)).batches, 0);
  assert.deepEqual(
    [await storage.size(KEYS.manifest(id)), (await storage.size(KEYS.final(id))) !== null],
    [null, true],
  );
  const { batches } = await collect(storage, 40 * DAY_MS);
  assert.equal(batches, 1);
  const left: string[] = [];
  for (const folder of [
    `batches/${id}/`,
    KEYS.indexes(id),
    KEYS.hooksDone(id),
    KEYS.riskHooksDone(id),
    KEYS.riskMarks,
    KEYS.promiseHooksDone(id),
    KEYS.promiseMarks,
    KEYS.audits(id),
    'open/',
    'tenants/default/batches/',
  ]) {
    left.push(...(await storage.list(folder, { limit: 10 })));
  }
  assert.deepEqual(left, []);
});

test('what was begun and never finished goes after two days; what cannot be read stays, and the rest goes on', async () => {
  await using system = await System.create();
  await system.run('api');
  await using storage = await openData(system);
  const id = `file-${'0'.repeat(32)}`;
  const standing = await system.client.files.create({ file: new File(['{}\n'], 'a.jsonl'), purpose: 'batch' });
  await storage.create(KEYS.tenantFile('default', Date.now(), id), Buffer.from('{}'));
  await storage.create(KEYS.fileBytes(id), Buffer.from('half'));
  const batch = `batch_${'0'.repeat(32)}`;
  await storage.create(KEYS.tenantBatch('default', Date.now(), batch), Buffer.from('{}'));
  await storage.create(KEYS.openMark(batch), Buffer.from('{}'));
  assert.deepEqual(await collect(storage, DAY_MS), { files: 0, batches: 0 });
  assert.deepEqual(await collect(storage, 3 * DAY_MS), { files: 1, batches: 1 });
  assert.equal(await storage.size(KEYS.fileBytes(id)), null);
  assert.equal(await storage.size(KEYS.openMark(batch)), null);
  assert.notEqual(await storage.size(KEYS.fileBytes(standing.id)), null);
  await storage.create(KEYS.tenantBatch('default', Date.now(), batch), Buffer.from('{}'));
  await storage.create(KEYS.manifest(batch), Buffer.from('{'));
  assert.deepEqual(await collect(storage, 60 * DAY_MS), { files: 0, batches: 0 }, 'it may need any file');
});

test('the leading dispatcher collects by itself', async () => {
  await using system = await System.create({ env: { SPILLWAY_GARBAGE_MS: '100' } });
  await Promise.all([system.run('api'), system.run('dispatcher')]);
  await system.admitted();
  await using storage = await openData(system);
  const file = await system.client.files.create({ file: new File(['{}\n'], 'a.jsonl'), purpose: 'batch' });
  await system.client.files.delete(file.id);
  const path = join(fileURLToPath(`file://${system.directory}/data`), KEYS.fileTombstone(file.id));
  const tombstone = await readRecord(storage, KEYS.fileTombstone(file.id), RECORDS.tombstone);
  assert.ok(tombstone !== null);
  await writeFile(path, JSON.stringify({ ...tombstone, deletedAtMs: tombstone.deletedAtMs - 2 * HOUR_MS }));
  await until(async () => (await storage.size(KEYS.fileBytes(file.id))) === null);
});
