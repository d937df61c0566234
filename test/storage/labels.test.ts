import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { KEYS, LIMITS } from '@spillway/core';
import { openStorage, readLabels, type ReadLabels, type Storage } from '@spillway/storage';

let directory: string;
let storage: Storage;
let files = 0;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'spillway-labels-'));
  storage = await openStorage(pathToFileURL(directory).href);
});

after(async () => {
  await storage[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

async function readAll(text: string | Buffer, wanted: readonly string[] = []): Promise<ReadLabels> {
  files += 1;
  const id = `file-${files}`;
  await storage.create(KEYS.fileBytes(id), Buffer.from(text));
  return await readLabels(storage, id, new Set(wanted));
}

const errorsOf = (read: ReadLabels): string[] =>
  read.kind === 'errors' ? read.errors.map(({ message }) => message) : assert.fail('there are labels');

const label = (id: string, answer: unknown = 'a'): string => JSON.stringify({ custom_id: id, answer });

test('answers are kept of those documents only that are asked for', async () => {
  const read = await readAll(`${label('one', { a: 1 })}\n\n${label('two')}`, ['one']);
  assert.deepEqual(read.kind === 'labels' && [...read.labels], [
    ['one', { answer: '{"a":1}', line: 1 }],
    ['two', { answer: null, line: 3 }],
  ]);
});

test('what is no label is not read for ever, nor does it hold anybody up', async () => {
  assert.match(errorsOf(await readAll(Buffer.alloc(10_000_000, '\n')))[0] ?? '', /has more than 40000 lines/);
  const most = Array.from({ length: LIMITS.labels }, (_, at) => label(`doc-${at}`)).join('\n');
  let turns = 0;
  const reading = { isOn: true };
  const others = (async () => {
    for (; reading.isOn; turns += 1) await setImmediate();
  })();
  assert.equal((await readAll(most)).kind, 'labels');
  reading.isOn = false;
  await others;
  assert.ok(turns > LIMITS.labels / 200, `others had ${turns} turns`);
  assert.match(errorsOf(await readAll(`${most}\n${label('one more')}`))[0] ?? '', /more than 20000 labels/);
  const large = Buffer.concat(
    Array.from({ length: 1_100 }, (_, at) => Buffer.from(`${label(`${at}`, 'x'.repeat(62_000))}\n`)),
  );
  assert.match(errorsOf(await readAll(large))[0] ?? '', /is longer than 67108864 bytes/);
});

test('no message repeats more of an id than a line has room for', async () => {
  const quotes = Array.from({ length: 100 }, (_, at) => label('"'.repeat(30_000) + at));
  const errors = errorsOf(await readAll(quotes.join('\n')));
  assert.ok(errors.join('').length < 20_000, `${errors.join('').length} characters`);
  const twice = label('"'.repeat(LIMITS.customIdCharacters));
  const [message = ''] = errorsOf(await readAll(`${twice}\n${twice}`));
  assert.ok(/has a label before/.test(message) && message.length < 300, message);
});
