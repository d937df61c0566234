import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { digestBits, DocumentRows, KEYS, type DocumentIndex } from '@spillway/core';
import { findDocuments, openStorage, storeIndex, type ByteRange, type Storage } from '@spillway/storage';

const BATCH = 'batch_indexed';

let directory: string;
let storage: Storage;
let index: DocumentIndex;
let rows: DocumentRows;
const reads: (ByteRange | undefined)[] = [];

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'spillway-index-'));
  storage = await openStorage(`file://${directory}`);
  const read = storage.read.bind(storage);
  storage.read = (key, range) => {
    reads.push(range);
    return read(key, range);
  };
  rows = new DocumentRows();
  for (let document = 0; document < 100_000; document += 1) {
    rows.add({ id: digestBits(`doc-${document}`), body: null, document, offset: 0 });
  }
  index = await storeIndex(storage, BATCH, rows);
});
after(() => rm(directory, { recursive: true }));

const find = (customId: string, from = 0) =>
  findDocuments(storage, { batch: BATCH, index }, { customId, from, most: 10 });

test('a document of 100,000 is found with a read or two of 64 KiB, each of which is a request where storage is S3', async () => {
  for (const document of [0, 1, 255, 256, 54_321, 99_999]) {
    reads.length = 0;
    assert.deepEqual(await find(`doc-${document}`), { kind: 'found', documents: [document] });
    assert.ok(reads.length <= 2, `${reads.length} reads`);
    for (const range of reads) assert.ok(range !== undefined && range.end - range.start <= 64 * 1024);
  }
  assert.deepEqual(await find('doc-100000'), { kind: 'found', documents: [] });
  assert.deepEqual(await find('doc-5', 6), { kind: 'found', documents: [] });
});

test('whoever writes the same rows again adopts what stands; another one gets another name', async () => {
  assert.deepEqual(await storeIndex(storage, BATCH, rows), index);
  rows.add({ id: digestBits('more'), body: null, document: 100_000, offset: 0 });
  const other = await storeIndex(storage, BATCH, rows);
  assert.deepEqual(
    (await storage.list(KEYS.indexes(BATCH), { limit: 10 })).toSorted(),
    [index, other].map(({ digest }) => KEYS.index(BATCH, digest)).toSorted(),
  );
});

test('an index that is damaged, cut or gone is named', async () => {
  const key = KEYS.index(BATCH, index.digest);
  const path = join(directory, key);
  const bytes = await readFile(path);
  const damaged = { kind: 'damaged', key };
  await writeFile(
    path,
    bytes.map((byte) => byte ^ 1),
  );
  assert.deepEqual(await find('doc-1'), damaged);
  await writeFile(path, bytes.subarray(0, 1_000));
  assert.deepEqual(await find('doc-1'), damaged);
  await rm(path);
  assert.deepEqual(await find('doc-1'), damaged);
});
