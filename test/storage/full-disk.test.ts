import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, open, readdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { KEYS, RECORD_VERSION, RECORDS } from '@spillway/core';
import { openProvedStorage, openStorage, readRecord, RoomWatch, StorageError } from '@spillway/storage';
import { openLog } from '@spillway/runtime';
import { APIError, OpenAI } from 'openai';
import { checkAlerts, lacksPrometheus, still } from '../support/prometheus.ts';
import { scrape, valuesOf } from '../support/scrapes.ts';
import { System, until } from '../support/system.ts';
import { docIds, wholeResults } from '../support/whole.ts';

const MIB = 1024 * 1024;

/** A disk of a few megabytes; null where only root may mount one. */
async function smallDisk(t: TestContext, path: string, size: string): Promise<AsyncDisposable | null> {
  await mkdir(path, { recursive: true });
  const run = async (command: string, ...args: string[]): Promise<number> => {
    const [status] = await once(spawn(command, args, { stdio: 'ignore' }), 'exit').catch(() => [1]);
    return Number(status);
  };
  if ((await run('mount', '-t', 'tmpfs', '-o', `size=${size}`, 'spillway-test', path)) !== 0) {
    t.skip('only root can mount a small disk');
    return null;
  }
  return { [Symbol.asyncDispose]: async () => void (await run('umount', '-l', path)) };
}

/** Takes all the room that is left, to the last block. */
async function fill(path: string): Promise<() => Promise<void>> {
  const name = join(path, 'ballast');
  const file = await open(name, 'a');
  for (let bytes = MIB; bytes >= 1;) {
    const isWritten = await file.write(Buffer.alloc(bytes)).then(
      ({ bytesWritten }) => bytesWritten === bytes,
      () => false,
    );
    if (!isWritten) bytes = Math.floor(bytes / 2);
  }
  await file.close();
  return () => unlink(name);
}

const isFull = (error: unknown): boolean => error instanceof StorageError && error.code === 'full';

test('a full directory is opened and read, gives an object a second name, and is proved once there is room', async (t) => {
  await using system = await System.create();
  const path = join(system.directory, 'data');
  await using disk = await smallDisk(t, path, '1m');
  if (disk === null) return;
  const address = `file://${path}`;
  await using before = await openProvedStorage(address);
  await before.create('a/b', Buffer.from('x'));
  await before.create('c/d', Buffer.from('y'));
  const lines: string[] = [];
  const log = {
    ...openLog('test', 'silent'),
    error: (text: string) => lines.push(text),
    info: () => lines.push('room'),
  };
  const makeRoom = await fill(path);
  await using full = await openProvedStorage(address);
  const watch = new RoomWatch({ storage: full, log: log as never });
  for (let look = 0; look < 3; look += 1) await watch.look();
  assert.deepEqual([watch.isFull, lines.length], [true, 1], 'said once');
  await assert.rejects(full.create('e', Buffer.from('z')), isFull);
  assert.equal(Buffer.from((await full.read('a/b')) ?? []).toString(), 'x');
  assert.equal(await full.createLike('c/e', 'a/b'), 'created');
  assert.equal(await full.createLike('c/e', 'a/b'), 'created', 'as after a lost answer');
  assert.equal(await full.createLike('c/d', 'a/b'), 'exists');
  assert.equal(await full.createLike('c/f', 'a/none'), false);
  await full.remove('a/b');
  assert.equal(Buffer.from((await full.read('c/e')) ?? []).toString(), 'x');
  await makeRoom();
  assert.equal(await full.create('e', Buffer.from('z')), 'created');
  await watch.look();
  assert.deepEqual([watch.isFull, lines.length], [false, 2]);
  assert.deepEqual(await readdir(join(path, '.tmp')), []);
});

test('a full disk: what stands is read, a restarted API serves, deleting makes room, and nothing is lost', async (t) => {
  await using system = await System.create({ env: { HEALTH_PORT: '0' } });
  const path = join(system.directory, 'data');
  await using disk = await smallDisk(t, path, '8m');
  if (disk === null) return;
  const [first] = await Promise.all(
    ['api', 'dispatcher', 'drafter', 'expert'].map((name) => system.run(name as 'api')),
  );
  await system.admitted();
  const batch = await system.submit(['[[hang]] a', 'b', '[[drafter unsure]] c']);
  await system.drafterModel.waitForRequests(3);
  const upload = (bytes: number): Promise<OpenAI.FileObject> => {
    const text = `{"custom_id":"a","pad":"${'x'.repeat(bytes)}"}\n`;
    return system.client.files.create({ file: new File([text], 'a.jsonl'), purpose: 'batch' });
  };
  const files: string[] = [];
  const uploadMore = async (): Promise<never> => {
    for (;;) files.push((await upload(MIB)).id);
  };
  const refused = (error: unknown): boolean =>
    error instanceof APIError && error.status === 503 && Number(error.headers?.get('retry-after')) > 0;
  await assert.rejects(uploadMore(), refused);
  assert.ok(files.length >= 4, `${files.length} files`);
  // There is room for small things, such as a tombstone, and none for a file: deleting makes it all the same.
  const early = files.shift() ?? '';
  await system.client.files.delete(early);
  const storage = await openStorage(`file://${path}`);
  await until(async () => (await storage.size(KEYS.fileBytes(early))) === null);
  const makeRoom = await fill(path);
  system.drafterModel.release();
  await first?.stop();
  const api = await system.run('api');
  const { healthPort } = (await api.ready()) as unknown as { healthPort: number };
  const health = await fetch(`http://127.0.0.1:${healthPort}/health/ready`);
  assert.equal(health.status, 200, 'it stays in service');
  assert.match(await health.text(), /storage is full/);
  await api.waitFor(({ msg = '' }) => msg.startsWith('storage is full'));
  const full = await scrape([api]);
  assert.deepEqual(valuesOf(full, 'cascade_storage_full'), { '': 1 });
  assert.ok((valuesOf(full, 'cascade_storage_free_ratio')[''] ?? 1) < 0.01);
  assert.equal((await (await system.client.files.content(files[0] ?? '')).text()).length > MIB, true);
  await assert.rejects(upload(10), refused);
  await assert.rejects(system.submit(['x']), refused);
  for (const id of files) {
    assert.equal((await system.client.files.delete(id)).deleted, true);
    await assert.rejects(system.client.files.retrieve(id), OpenAI.NotFoundError);
  }
  const tombstone = await readRecord(storage, KEYS.spareTombstone, RECORDS.tombstone);
  assert.deepEqual(tombstone, { v: RECORD_VERSION, deletedAtMs: 0 }, 'as the version before reads a tombstone');
  await until(async () => (await storage.size(KEYS.fileBytes(files[0] ?? ''))) === null);
  await until(
    async () =>
      await upload(MIB).then(
        () => true,
        () => false,
      ),
  );
  await wholeResults(system, await system.settled(batch.id), docIds(3));
  await makeRoom();
  await until(async () => valuesOf(await scrape([api]), 'cascade_storage_full')[''] === 0);
  const roomy = await scrape([api]);
  assert.ok((valuesOf(roomy, 'cascade_storage_free_ratio')[''] ?? 0) > 0.1);
  const lacking = await lacksPrometheus();
  if (lacking !== null) return t.skip(lacking);
  const history = [...still(roomy, 20), ...still(full, 20), ...still(roomy, 20)];
  const firing = { 19: [], 35: ['SpillwayStorageFull', 'SpillwayStorageNearlyFull'], 45: [] };
  await checkAlerts([{ name: 'a full disk', history, firing, among: /SpillwayStorage.*/ }]);
});
