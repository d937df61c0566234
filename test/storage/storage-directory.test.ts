import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import {
  chmod,
  mkdir,
  mkdtemp,
  opendir,
  readdir,
  rename,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openStorage, StorageError } from '@spillway/storage';

test('an address that is not understood says what was expected', async () => {
  const addresses = [
    ['', /expected file:\/\/\/absolute\/directory or s3:\/\//],
    ['/var/lib/spillway', /expected file:\/\//],
    ['file://data', /three slashes/],
    ['file:///data?sync=no', /no parameters/],
    ['file:///a%2Fb', /expected file:\/\/\/absolute\/directory/],
    ['http://host/bucket', /expected file:\/\//],
    ['s3://', /bucket/],
    ['s3://a', /bucket name/],
    ['s3://bucket/ä', /prefix/],
    ['s3://bucket?endpoint=localhost:9000', /endpoint: expected http:\/\/host:port/],
    ['s3://bucket?path_style=yes', /path_style: expected true or false/],
    ['s3://bucket?pathstyle=true', /expected only endpoint, region, path_style, anonymous after "\?"/],
    ['s3://key:secret@bucket/', /credentials do not belong in it/],
    ['s3://key:sec/ret@bucket/', /^Bad storage address "s3:\/\/bucket\/"/],
    ['s3://bucket?secret=mine', /^Bad storage address "s3:\/\/bucket\?…": expected only endpoint/],
    ['s3://bucket?endpoint=http://me:secret@host:9000', /endpoint: expected .*without credentials$/],
  ] as const;
  for (const [address, expected] of addresses) {
    await assert.rejects(openStorage(address), (error) => {
      assert.ok(error instanceof StorageError, address);
      assert.equal(error.code, 'bad_address');
      assert.match(error.message, expected);
      assert.doesNotMatch(error.message, /secret|\n/);
      return true;
    });
  }
});

test('makes the directory when only its last part is missing', async () => {
  await using place = await temporaryDirectory();
  await openStorage(`file://${place.path}/data`);
  assert.ok((await stat(join(place.path, 'data'))).isDirectory());
  await assert.rejects(
    openStorage(`file://${place.path}/mistyped/data`),
    failsWith('unavailable', /ENOENT.*folder does not exist/),
  );
  await writeFile(join(place.path, 'file'), '');
  await assert.rejects(openStorage(`file://${place.path}/file`), failsWith('bad_address', /is not a directory/));
});

test('a directory that this user may not write to is refused, with what to do', async () => {
  await using place = await temporaryDirectory();
  await chmod(place.path, 0o755);
  await mkdir(join(place.path, 'read-only'), { mode: 0o555 });
  // Root may write everywhere, so another user has to try.
  const child = spawn(process.execPath, ['--input-type=module', '--eval', PROVING, `file://${place.path}/read-only`], {
    cwd: import.meta.dirname,
    stdio: ['ignore', 'pipe', 'inherit'],
    ...(process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {}),
  });
  const output = Buffer.concat(await Array.fromAsync(child.stdout)).toString();
  assert.equal(
    output,
    `denied: Cannot write to ${place.path}/read-only (EACCES): give this user write permission or set SPILLWAY_DATA_DIR to another directory`,
  );
});

const PROVING = `
  import { openStorage } from '@spillway/storage';
  const storage = await openStorage(process.argv[1]);
  await storage.prove().catch((error) => process.stdout.write(error.code + ': ' + error.message));
`;

test('a disk without room says so and leaves nothing', async (t) => {
  await using place = await temporaryDirectory();
  const mounted = spawn('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'spillway-test', place.path], { stdio: 'ignore' });
  const [status] = await once(mounted, 'exit').catch(() => [1]);
  if (status !== 0) return t.skip('only root can mount a small disk');
  try {
    const storage = await openStorage(`file://${place.path}`);
    await assert.rejects(storage.create('a', Buffer.alloc(2_000_000)), failsWith('full', /ENOSPC/));
    assert.deepEqual(await readdir(join(place.path, '.tmp')), []);
    assert.equal(await storage.create('a', Buffer.alloc(1_000)), 'created');
  } finally {
    await once(spawn('umount', [place.path], { stdio: 'ignore' }), 'exit');
  }
});

test('a directory that is gone or replaced is unavailable, not empty', async () => {
  await using place = await temporaryDirectory();
  const path = join(place.path, 'data');
  const storage = await openStorage(`file://${path}`);
  await storage.create('a/b', Buffer.from('x'));
  await rename(path, join(place.path, 'elsewhere'));
  const refusesAll = async () => {
    for (const call of [
      () => storage.read('a/b'),
      () => storage.size('a/b'),
      () => storage.stream('a/b'),
      () => storage.list('a/', { limit: 1 }),
      () => storage.remove('a/b'),
      () => storage.create('a/c', Buffer.from('x')),
      () => storage.prove(),
    ]) {
      await assert.rejects(call, failsWith('unavailable', /is gone, or not the directory of the start/));
    }
  };
  await refusesAll();
  await mkdir(path);
  await refusesAll();
  assert.deepEqual(await readdir(path), []);
});

test('opening removes what a killed process left more than a day ago, and nothing younger', async () => {
  await using place = await temporaryDirectory();
  await mkdir(join(place.path, '.tmp'));
  for (const name of ['old', 'young']) await writeFile(join(place.path, '.tmp', name), 'x');
  const twoDaysAgo = new Date(Date.now() - 2 * 86_400_000);
  await utimes(join(place.path, '.tmp', 'old'), twoDaysAgo, twoDaysAgo);
  await openStorage(`file://${place.path}`);
  assert.deepEqual(await readdir(join(place.path, '.tmp')), ['young']);
});

test('leaves no temporary files and no empty folders', async () => {
  await using place = await temporaryDirectory();
  const storage = await openStorage(`file://${place.path}`);
  for (const key of ['a/b/c', 'a/b/d', 'a/e']) await storage.create(key, Buffer.from('x'));
  await storage.create('a/e', Buffer.from('y'));
  await storage.remove('a/b/c');
  assert.deepEqual(await readdir(join(place.path, 'a')), ['b', 'e']);
  await storage.remove('a/b/d');
  assert.deepEqual(await readdir(join(place.path, 'a')), ['e']);
  await storage.remove('a/e');
  assert.deepEqual(await readdir(place.path), ['.tmp']);
  assert.deepEqual(await readdir(join(place.path, '.tmp')), []);
});

test('an object and a folder cannot share a name, and an upload needs a key of its own', async () => {
  await using place = await temporaryDirectory();
  const storage = await openStorage(`file://${place.path}`);
  await storage.create('a/b', Buffer.from('x'));
  await assert.rejects(storage.create('a', Buffer.from('x')), failsWith('bad_key', /is a folder of other keys/));
  await assert.rejects(
    storage.create('a/b/c', Buffer.from('x')),
    failsWith('bad_key', /must not go on below an object/),
  );
  assert.equal(await storage.read('a'), null);
  assert.equal(await storage.size('a'), null);
  assert.equal(await storage.stream('a'), null);
  assert.equal(await storage.read('a/b/c'), null);
  const source = async function* () {
    yield Buffer.from('y');
  };
  await assert.rejects(storage.upload('a/b', source()), failsWith('bad_key', /a key of its own/));
  assert.equal(String(await storage.read('a/b')), 'x');
});

test('lists only objects, whatever else lies in the folder', async () => {
  await using place = await temporaryDirectory();
  const storage = await openStorage(`file://${place.path}`);
  await storage.create('a/b', Buffer.from('x'));
  await writeFile(join(place.path, 'a', '.nfs0001'), '');
  await writeFile(join(place.path, 'a', 'not a key'), '');
  await symlink('/etc/passwd', join(place.path, 'a', 'link'));
  assert.deepEqual(await storage.list('a/', { limit: 10 }), ['a/b']);
});

test('lists from a folder of 30,000 objects in one pass', async (t) => {
  await using place = await temporaryDirectory();
  const storage = await openStorage(`file://${place.path}`);
  const folder = join(place.path, 'many');
  await mkdir(folder);
  for (let at = 0; at < 30_000; at += 1) {
    writeFileSync(join(folder, String((at * 7_919) % 30_000).padStart(8, '0')), '');
  }
  const onceMs = await timed(async () => {
    for await (const entry of await opendir(folder)) assert.ok(entry.isFile());
  });
  let keys: string[] = [];
  const tookMs = await timed(async () => {
    keys = await storage.list('many/', { after: 'many/00019999', limit: 1_000 });
  });
  t.diagnostic(`${Math.round(tookMs)} ms; to walk through the folder takes ${Math.round(onceMs)} ms`);
  assert.equal(keys.length, 1_000);
  assert.equal(keys[0], 'many/00020000');
  assert.equal(keys[999], 'many/00020999');
  assert.ok(tookMs < 5 * onceMs, `${tookMs} ms, and ${onceMs} ms to walk through the folder`);
});

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedAtMs = performance.now();
  await work();
  return performance.now() - startedAtMs;
}

async function temporaryDirectory(): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'spillway-storage-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

function failsWith(code: string, message: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof StorageError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    assert.doesNotMatch(error.message, /\n/);
    return true;
  };
}
