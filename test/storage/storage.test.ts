import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, it, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { KEYS, RECORD_VERSION } from '@spillway/core';
import { SetupError } from '@spillway/runtime';
import { openProvedStorage, openStorage, StorageError, type Storage } from '@spillway/storage';
import { startRadosgw } from '../support/radosgw.ts';

/** Every storage has to pass all of this; the same file is also the child process that is killed or measured. */

const MIB = 1024 * 1024;
/** The first warms up; the last shows whether anything grows with the size. */
const SIZES_MIB = [1, 64, 192];
type Place = { address: string; close(): Promise<void> } | { skip: string };

async function directoryPlace(): Promise<Place> {
  const directory = await mkdtemp(join(tmpdir(), 'spillway-storage-'));
  return { address: `file://${directory}`, close: () => rm(directory, { recursive: true }) };
}

async function s3Place(): Promise<Place> {
  const server = await startRadosgw();
  if (server.kind === 'missing') return { skip: server.reason };
  // The SDK's default chain reads these, in this process and in its children.
  process.env['AWS_ACCESS_KEY_ID'] = server.accessKey;
  process.env['AWS_SECRET_ACCESS_KEY'] = server.secretKey;
  const client = new S3Client({ endpoint: server.endpoint, region: 'us-east-1', forcePathStyle: true });
  await client.send(new CreateBucketCommand({ Bucket: 'spillway' }));
  client.destroy();
  const address = `s3://spillway/some/prefix?endpoint=${server.endpoint}&path_style=true`;
  return { address, close: async () => server[Symbol.asyncDispose]() };
}

function conformance(name: string, open: () => Promise<Place>): void {
  describe(name, () => {
    let place: Place = { skip: 'not opened' };
    let storage: Storage;
    before(async () => {
      place = await open();
      if ('address' in place) storage = await openStorage(place.address);
    });
    after(async () => {
      if (!('address' in place)) return;
      await storage[Symbol.asyncDispose]();
      await place.close();
    });
    const check = (title: string, body: (folder: string, address: string, t: TestContext) => Promise<void>): void => {
      it(title, async (t) => {
        if ('address' in place) await body(`test-${randomUUID()}`, place.address, t);
        else t.skip(place.skip);
      });
    };

    check('gives back what was created, and refuses a second create', async (folder) => {
      const key = `${folder}/a/b/record.json`;
      assert.equal(await storage.read(key), null);
      assert.equal(await storage.size(key), null);
      assert.equal(await storage.stream(key), null);
      assert.equal(await storage.create(key, text('first')), 'created');
      assert.equal(await storage.create(key, text('second')), 'exists');
      assert.equal(shown(await storage.read(key)), 'first');
      assert.equal(await storage.size(key), 5);
    });

    check('lets exactly one of 20 racers create, and nobody sees anything but the winner', async (folder) => {
      for (let round = 0; round < 5; round++) {
        const key = `${folder}/${round}`;
        const racers = Array.from({ length: 20 }, (_, racer) => storage.create(key, Buffer.alloc(10_000, racer)));
        const seen = await Promise.all([
          ...racers.map(async (racer) => (await racer, await storage.read(key))),
          storage.read(key),
        ]);
        const outcomes = await Promise.all(racers);
        const winner = outcomes.indexOf('created');
        assert.deepEqual(outcomes.toSorted(), ['created', ...Array<string>(19).fill('exists')]);
        for (const bytes of seen)
          if (bytes !== null) assert.deepEqual(Buffer.from(bytes), Buffer.alloc(10_000, winner));
      }
    });

    check('creates many objects in one new folder at once', async (folder) => {
      const keys = Array.from({ length: 50 }, (_, index) => `${folder}/deep/er/${index}`);
      const outcomes = await Promise.all(keys.map((key) => storage.create(key, text(key))));
      assert.ok(outcomes.every((outcome) => outcome === 'created'));
      for (const key of keys) assert.equal(shown(await storage.read(key)), key);
    });

    check('keeps empty objects', async (folder) => {
      assert.equal(await storage.create(`${folder}/created`, new Uint8Array()), 'created');
      assert.equal(await storage.create(`${folder}/created`, text('more')), 'exists');
      assert.equal(await storage.upload(`${folder}/uploaded`, chunksOf([])), 0);
      for (const key of [`${folder}/created`, `${folder}/uploaded`]) {
        assert.equal(await storage.size(key), 0);
        assert.equal(shown(await storage.read(key)), '');
        assert.equal(shown(await storage.read(key, { start: 0, end: 10 })), '');
        assert.equal(shown(await collected(await storage.stream(key))), '');
      }
    });

    check('gives the bytes of a range that there are', async (folder) => {
      const key = `${folder}/digits`;
      await storage.create(key, text('0123456789'));
      const ranges = [
        [0, 10, '0123456789'],
        [0, 1, '0'],
        [3, 7, '3456'],
        [9, 10, '9'],
        [8, 100, '89'],
        [10, 20, ''],
        [50, 60, ''],
        [4, 4, ''],
      ] as const;
      for (const [start, end, expected] of ranges) {
        assert.equal(shown(await storage.read(key, { start, end })), expected, `${start}-${end}`);
        assert.equal(shown(await collected(await storage.stream(key, { start, end }))), expected, `${start}-${end}`);
      }
      assert.equal(await storage.read(`${folder}/none`, { start: 0, end: 1 }), null);
      assert.equal(await storage.read(`${folder}/none`, { start: 1, end: 1 }), null);
      assert.equal(await storage.stream(`${folder}/none`, { start: 1, end: 1 }), null);
      for (const range of [
        { start: -1, end: 1 },
        { start: 2, end: 1 },
        { start: 0.5, end: 1 },
        { start: 0, end: NaN },
      ]) {
        await assert.rejects(storage.read(key, range), RangeError);
        await assert.rejects(storage.stream(key, range), RangeError);
      }
    });

    check('refuses every key that is not plain', async (folder) => {
      const outside = ['/', '.', '..', '../x', 'a/../b', 'a/./b', 'a/..', '/etc/passwd', '.tmp/x', 'a/.hidden'];
      const unclean = ['', 'a//b', 'a/', 'a b', 'a\\b', 'a%2e%2e', 'C:x', 'a?b', 'a#b', 'a*', 'a\u0000b', 'a\nb'];
      const unicode = ['ü', '文書', '\u{1F600}', '\uD800', `${folder}/é`];
      const long = ['x'.repeat(256), `${'x/'.repeat(300)}x`];
      const hostile = [outside, unclean, unicode, long].flat();
      for (const key of hostile) {
        const calls = [
          () => storage.create(key, text('x')),
          () => storage.upload(key, chunksOf([text('x')])),
          () => storage.read(key),
          () => storage.stream(key),
          () => storage.size(key),
          () => storage.remove(key),
          () => storage.list(`${key}/`, { limit: 1 }),
          () => storage.list(`${folder}/`, { limit: 1, after: key }),
        ];
        for (const call of calls)
          await assert.rejects(call, isStorageError('bad_key', /storage key/), JSON.stringify(key));
      }
      await assert.rejects(storage.list(folder, { limit: 1 }), isStorageError('bad_key', /followed by "\/"/));
    });

    check('lists what is directly in a folder, in order, after a key, page by page', async (folder) => {
      const names = Array.from({ length: 45 }, (_, index) => String((index * 7) % 45).padStart(3, '0'));
      const others = ['-', '_', 'A', 'Z', 'a', 'z', 'a-b', 'a.b', 'a0', 'a_b'];
      const keys = [...names, ...others].map((last) => `${folder}/list/${last}`);
      for (const key of keys) await storage.create(key, text(''));
      await storage.create(`${folder}/list/a-folder/inside`, text(''));
      await storage.create(`${folder}/list-of-others`, text(''));
      const sorted = keys.toSorted();
      const list = (options: { after?: string; limit: number }) => storage.list(`${folder}/list/`, options);
      assert.deepEqual(await list({ limit: 1000 }), sorted);
      assert.deepEqual(await list({ limit: 3 }), sorted.slice(0, 3));
      assert.deepEqual(await list({ limit: 0 }), []);
      assert.deepEqual(
        await list({ limit: 4, after: `${folder}/list/0105` }),
        sorted.filter((key) => key > `${folder}/list/0105`).slice(0, 4),
      );
      assert.deepEqual(await list({ limit: 4, after: sorted.at(-1) ?? '' }), []);
      assert.deepEqual(await list({ limit: 1, after: folder }), sorted.slice(0, 1));
      assert.deepEqual(await storage.list(`${folder}/nothing/`, { limit: 10 }), []);
      const paged: string[] = [];
      for (
        let page = await list({ limit: 7 });
        page.length > 0;
        page = await list({ limit: 7, after: paged.at(-1) ?? '' })
      ) {
        paged.push(...page);
      }
      assert.deepEqual(paged, sorted);
      await assert.rejects(list({ limit: -1 }), RangeError);
    });

    check('removes, and removing what is absent is fine', async (folder) => {
      const key = `${folder}/a/b`;
      await storage.create(key, text('x'));
      await storage.remove(key);
      await storage.remove(key);
      assert.equal(await storage.read(key), null);
      assert.equal(await storage.create(key, text('again')), 'created');
    });

    check('removing beside creating never makes a create fail', async (folder) => {
      await Promise.all(
        Array.from({ length: 8 }, async (_, worker) => {
          for (let round = 0; round < 25; round++) {
            const key = `${folder}/x/y/${worker}`;
            assert.equal(await storage.create(key, text('x')), 'created');
            await storage.remove(key);
          }
        }),
      );
      assert.deepEqual(await storage.list(`${folder}/x/y/`, { limit: 10 }), []);
    });

    check('uploads chunks of any size as one object', async (folder) => {
      for (const sizes of [[1], [1, 0, 70_000, 3], [5 * MIB], [5 * MIB, 1], [4 * MIB, 9 * MIB, 0, 17]]) {
        const key = `${folder}/${sizes.join('-')}`;
        const chunks = sizes.map((size, index) => Buffer.alloc(size, index + 1));
        const whole = Buffer.concat(chunks);
        assert.equal(await storage.upload(key, chunksOf(chunks)), whole.length);
        assert.ok(whole.equals((await storage.read(key)) ?? Buffer.of()), key);
        assert.equal(await storage.size(key), whole.length);
      }
    });

    for (const sizeBytes of [0, 100_000, 12 * MIB]) {
      check(`leaves nothing when the source throws after ${sizeBytes} bytes`, async (folder) => {
        const failure = new Error('the sender went away');
        const source = async function* () {
          for (let sent = 0; sent < sizeBytes; sent += 50_000) yield Buffer.alloc(50_000);
          throw failure;
        };
        await assert.rejects(storage.upload(`${folder}/x`, source()), (error) => error === failure);
        await delay(100);
        assert.deepEqual(await storage.list(`${folder}/`, { limit: 10 }), []);
        assert.equal(await storage.read(`${folder}/x`), null);
      });

      check(`leaves nothing when it is aborted while the source is silent after ${sizeBytes} bytes`, async (folder) => {
        const stop = new AbortController();
        const reason = new Error('shutdown');
        const source = async function* () {
          for (let sent = 0; sent < sizeBytes; sent += 50_000) yield Buffer.alloc(50_000);
          setImmediate(() => stop.abort(reason));
          await new Promise(() => undefined);
        };
        await assert.rejects(storage.upload(`${folder}/x`, source(), stop.signal), (error) => error === reason);
        await delay(100);
        assert.deepEqual(await storage.list(`${folder}/`, { limit: 10 }), []);
      });
    }

    check('stops before it begins when the signal is aborted already', async (folder) => {
      const reason = new Error('cancelled');
      const signal = AbortSignal.abort(reason);
      await storage.create(`${folder}/there`, text('x'));
      await assert.rejects(storage.upload(`${folder}/x`, chunksOf([text('x')]), signal), (error) => error === reason);
      await assert.rejects(storage.stream(`${folder}/there`, undefined, signal), (error) => error === reason);
      assert.equal(await storage.size(`${folder}/x`), null);
    });

    check('ends a stream by its signal, before and amid its reading, with the reason', async (folder) => {
      const key = `${folder}/large`;
      await storage.upload(key, pattern(8 * MIB));
      const reason = new Error('expired');
      for (const chunksBefore of [0, 1, 3]) {
        const stop = new AbortController();
        const stream = await storage.stream(key, undefined, stop.signal);
        assert.ok(stream);
        if (chunksBefore === 0) stop.abort(reason);
        let chunks = 0;
        const reading = async () => {
          for await (const _ of stream) if (++chunks === chunksBefore) stop.abort(reason);
        };
        await assert.rejects(reading, (error) => error === reason);
        assert.ok(chunks < 100);
      }
    });

    check('a reader may leave a stream early, many times', async (folder) => {
      const key = `${folder}/large`;
      await storage.upload(key, pattern(8 * MIB));
      // More than the 50 connections that the S3 client has.
      for (let reader = 0; reader < 120; reader++) {
        for await (const chunk of (await storage.stream(key)) ?? assert.fail()) {
          assert.ok(chunk.byteLength > 0);
          break;
        }
      }
      assert.equal(await storage.size(key), 8 * MIB);
    });

    check('proves itself, and leaves no probe', async () => {
      await storage.prove();
      assert.deepEqual(await storage.list('probe/', { limit: 10 }), []);
    });

    check(
      'an empty place gets the format of this version; services that start at once all succeed',
      async (folder, address) => {
        const own = inside(address, folder);
        const opened = await Promise.all(Array.from({ length: 6 }, () => openProvedStorage(own)));
        await using again = await openProvedStorage(own);
        assert.deepEqual(JSON.parse(shown(await again.read(KEYS.format)) ?? ''), { v: RECORD_VERSION });
        await again.create(KEYS.tenantMark('somebody'), text('{}'));
        await using _later = await openProvedStorage(own);
        for (const one of opened) await one[Symbol.asyncDispose]();
      },
    );

    for (const key of [KEYS.tenantMark('a'), KEYS.openMark('b'), KEYS.tenantFile('default', 0, 'c')]) {
      check(`refuses what an older Spillway wrote: ${key} and no format`, async (folder, address) => {
        const own = inside(address, folder);
        await using opened = await openStorage(own);
        await opened.create(key, text('{}'));
        await assert.rejects(openProvedStorage(own), isSetupError(folder, /written by an older Spillway.*empty place/));
        assert.equal(await opened.read(KEYS.format), null, 'nothing was written there');
      });
    }

    for (const [written, expected] of [
      [JSON.stringify({ v: RECORD_VERSION - 1 }), /written by an older Spillway.*\(format 1; this version reads 2\)/],
      [
        JSON.stringify({ v: RECORD_VERSION + 1 }),
        /written by a newer Spillway \(format 3; this version reads 2\): start/,
      ],
      ['{"v":', /format\.json in .* cannot be read: put it back/],
    ] as const) {
      check(`refuses a place whose format is ${written}`, async (folder, address) => {
        const own = inside(address, folder);
        await using opened = await openStorage(own);
        await opened.create(KEYS.format, text(written));
        await assert.rejects(openProvedStorage(own), isSetupError(folder, expected));
        assert.equal(shown(await opened.read(KEYS.format)), written);
      });
    }

    check(
      'whatever is killed, every visible object is whole and every answered one is there',
      async (folder, address) => {
        let answered = 0;
        for (let round = 0; round < 12; round++) {
          const keys = await killedWriter(address, `${folder}/${round}`, 30 + Math.random() * 400);
          answered += keys.length;
          for (const kind of ['created', 'uploaded']) {
            const visible = await storage.list(`${folder}/${round}/${kind}/`, { limit: 10_000 });
            for (const key of visible) {
              const bytes = (await storage.read(key)) ?? assert.fail(key);
              assert.ok(bytesOf(key).equals(bytes), `${key} has ${bytes.byteLength} bytes`);
            }
            const lost = keys.filter((key) => key.includes(`/${kind}/`) && !visible.includes(key));
            assert.deepEqual(lost, []);
          }
        }
        assert.ok(answered > 20, `only ${answered} objects were written`);
      },
    );

    for (const direction of ['up', 'down'] as const) {
      check(`streams ${direction} in memory that does not depend on the size`, async (folder, address, t) => {
        for (const sizeMib of SIZES_MIB) await storage.upload(`${folder}/${sizeMib}`, pattern(sizeMib * MIB));
        const growths = await measuredChild(address, direction, folder);
        t.diagnostic(`resident memory grew by ${growths.join(', ')} MiB over ${SIZES_MIB.join(', ')} MiB ${direction}`);
        const [, grown = NaN, grownFurther = NaN] = growths;
        assert.ok(grownFurther < 128, `${grownFurther} MiB`);
        assert.ok(grownFurther - grown < 64, `${grownFurther} MiB after ${grown} MiB`);
      });
    }
  });
}

/** A place of its own inside another one. */
function inside(address: string, folder: string): string {
  const [path, query] = address.split('?');
  return query === undefined ? `${path}/${folder}` : `${path}/${folder}?${query}`;
}

/** One line that names the place. */
function isSetupError(place: string, message: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof SetupError, String(error));
    assert.match(error.message, message);
    assert.ok(error.message.includes(place), error.message);
    assert.doesNotMatch(error.message, /\n|\?/);
    return true;
  };
}

function isStorageError(code: string, message: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof StorageError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, message);
    return true;
  };
}

function text(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

function shown(bytes: Uint8Array | null): string | null {
  return bytes === null ? null : Buffer.from(bytes).toString();
}

async function* chunksOf(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

async function collected(stream: AsyncIterable<Uint8Array> | null): Promise<Uint8Array | null> {
  return stream === null ? null : Buffer.concat(await Array.fromAsync(stream));
}

async function* pattern(sizeBytes: number): AsyncGenerator<Uint8Array> {
  for (let sent = 0; sent < sizeBytes; sent += 65_536)
    yield Buffer.alloc(Math.min(65_536, sizeBytes - sent), sent / 65_536);
}

/** Lets a child write until it is killed, and gives the keys that it had an answer for. */
async function killedWriter(address: string, folder: string, lifeMs: number): Promise<string[]> {
  const child = spawn(process.execPath, [import.meta.filename, 'write', address, folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines: string[] = [];
  const reader = createInterface({ input: child.stdout });
  const started = once(reader, 'line');
  reader.on('line', (line) => lines.push(line));
  const closed = once(reader, 'close');
  await started;
  await delay(lifeMs);
  child.kill('SIGKILL');
  await closed;
  return lines.slice(1);
}

/** What an object must hold follows from its key: `<name>-<size in bytes>`. */
function bytesOf(key: string): Buffer {
  return Buffer.alloc(Number(key.split('-').at(-1)), key);
}

/** The child that is killed: four creators and two uploaders, each saying on its output what was answered. */
async function writeForEver(address: string, folder: string): Promise<never> {
  const storage = await openStorage(address);
  process.stdout.write('writing\n');
  const write = async (kind: 'created' | 'uploaded', maxBytes: number): Promise<never> => {
    for (;;) {
      const key = `${folder}/${kind}/${randomUUID().slice(0, 8)}-${Math.ceil(Math.random() * maxBytes)}`;
      const bytes = bytesOf(key);
      if (kind === 'created') await storage.create(key, bytes);
      else await storage.upload(key, slices(bytes, 100_000));
      process.stdout.write(`${key}\n`);
    }
  };
  const creators = Array.from({ length: 4 }, () => write('created', 300_000));
  const uploaders = Array.from({ length: 2 }, () => write('uploaded', 12 * MIB));
  return Promise.race([...creators, ...uploaders]);
}

async function* slices(bytes: Buffer, sizeBytes: number): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += sizeBytes) {
    await new Promise(setImmediate);
    yield bytes.subarray(start, start + sizeBytes);
  }
}

/** Lets a child move objects of the sizes, and gives by how many MiB its resident memory had grown at its highest after each. */
async function measuredChild(address: string, direction: 'up' | 'down', folder: string): Promise<number[]> {
  // A small nursery is collected often, so that garbage is not mistaken for memory in use.
  const command = ['--max-semi-space-size=1', import.meta.filename, direction, address, folder];
  const child = spawn(process.execPath, command, { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = await Array.fromAsync(createInterface({ input: child.stdout }));
  return lines.map(Number);
}

async function measure(direction: 'up' | 'down', address: string, folder: string): Promise<void> {
  await using storage = await openStorage(address);
  let peakBytes = 0;
  const watched = async function* (chunks: AsyncIterable<Uint8Array>) {
    for await (const chunk of chunks) {
      peakBytes = Math.max(peakBytes, process.memoryUsage.rss());
      yield chunk;
    }
  };
  let startBytes = 0;
  for (const sizeMib of SIZES_MIB) {
    const key = `${folder}/${sizeMib}`;
    if (direction === 'up') await storage.upload(`${key}-again`, watched(pattern(sizeMib * MIB)));
    else for await (const _ of watched((await storage.stream(key)) ?? assert.fail())) continue;
    if (startBytes === 0) startBytes = process.memoryUsage.rss();
    process.stdout.write(`${Math.round((peakBytes - startBytes) / MIB)}\n`);
  }
}

const [, , job, childAddress = '', childFolder = ''] = process.argv;
if (job === 'write') await writeForEver(childAddress, childFolder);
else if (job === 'up' || job === 'down') await measure(job, childAddress, childFolder);
else {
  conformance('a directory', directoryPlace);
  conformance('S3', s3Place);
}
