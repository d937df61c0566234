import assert from 'node:assert/strict';
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  footerLength,
  KEYS,
  LIMITS,
  NO_COUNTS,
  RECORD_VERSION,
  RECORDS,
  stageCounter,
  writePage,
  type CascadeRules,
  type FileRecord,
  type Manifest,
  type PagePlan,
  type Validated,
} from '@spillway/core';
import {
  createRecord,
  openStorage,
  readFooterOf,
  readFooters,
  readRecord,
  Records,
  type Storage,
} from '@spillway/storage';
import { rulesOf, threeStageRules } from '../support/jobs.ts';

let directory: string;
let storage: Storage;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'spillway-records-'));
  storage = await openStorage(`file://${directory}`);
});
after(() => rm(directory, { recursive: true }));

const v = RECORD_VERSION;
const pages: PagePlan[] = [
  { first: 0, documents: 2, offset: 3, bytes: 100, lineBefore: 1 },
  { first: 2, documents: 1, offset: 103, bytes: 50, lineBefore: 3 },
];

const manifestOf = (id: string, cascades: Record<string, CascadeRules>): Manifest => ({
  v,
  id,
  tenant: 'default',
  inputFileId: 'file-0',
  endpoint: '/v1/chat/completions',
  completionWindow: '24h',
  metadata: null,
  outputExpiresAfterSeconds: null,
  createdAtMs: 0,
  expiresAtMs: 1,
  requestDigest: '',
  cascades,
});

test('a record is written as its schema encodes it, and read as it was given', async () => {
  const value = { v, validatedAtMs: 7, total: 3, cascades: ['a'], pages } as const;
  const given = { ...value, cascades: [...value.cascades] };
  const key = KEYS.validated('batch_written');
  assert.deepEqual(await createRecord(storage, key, RECORDS.validated, given), { kind: 'created', record: value });
  const written: unknown = JSON.parse(String(Buffer.from((await storage.read(key)) ?? [])));
  assert.deepEqual((written as { pages: unknown }).pages, [
    [0, 2, 3, 100, 1],
    [2, 1, 103, 50, 3],
  ]);
  assert.deepEqual(await readRecord(storage, key, RECORDS.validated), value);
  const second = await createRecord(storage, key, RECORDS.validated, { ...given, total: 99 });
  assert.deepEqual(second, { kind: 'exists', record: value }, 'whoever comes second adopts');
});

test('a plan is a manifest and its validation: the cascades that are named, and their tiers by stage', async () => {
  const id = 'batch_plan';
  const records = new Records(storage);
  assert.equal(await records.plan(id), null);
  // `medium` is a later stage of one cascade and the first of another.
  const other = rulesOf({ models: ['medium', 'large'] });
  const manifest = manifestOf(id, { three: threeStageRules(), other, unused: rulesOf({ models: ['x', 'y'] }) });
  await createRecord(storage, KEYS.manifest(id), RECORDS.manifest, manifest);
  assert.equal(await records.plan(id), null, 'not validated yet, which is not remembered');
  const cascades = ['other', 'three'];
  await createRecord(storage, KEYS.validated(id), RECORDS.validated, {
    v,
    validatedAtMs: 7,
    total: 3,
    cascades,
    pages,
  });
  const plan = await records.plan(id);
  assert.ok(plan !== null);
  assert.deepEqual(plan.pages, pages);
  assert.deepEqual([plan.total, plan.model, plan.validatedAtMs], [3, null, 7]);
  assert.deepEqual(Object.keys(plan.cascades), cascades);
  assert.deepEqual(plan.tiers.toSorted(), ['drafter.medium', 'drafter.small', 'expert.large']);
  assert.deepEqual(plan.firstTiers.toSorted(), ['drafter.medium', 'drafter.small']);
  assert.deepEqual(plan.laterTiers.toSorted(), ['drafter.medium', 'expert.large']);
});

test('a batch whose validation is ruled out has no plan; the version before reads a batch of no documents', async () => {
  const id = 'batch_ruled_out';
  await createRecord(storage, KEYS.manifest(id), RECORDS.manifest, manifestOf(id, { a: rulesOf() }));
  const ruledOut = { v, validatedAtMs: 7, total: 0, cascades: [], pages: [], ruledOut: true } as const;
  const written = { ...ruledOut, cascades: [], pages: [] };
  await createRecord(storage, KEYS.validated(id), RECORDS.validated, written);
  const records = new Records(storage);
  for (const _reading of ['first', 'kept']) {
    assert.deepEqual([await records.validated(id), await records.plan(id)], [null, null]);
  }
  const late: Validated = { v, validatedAtMs: 8, total: 3, cascades: ['a'], pages: [...pages] };
  const { record } = await createRecord(storage, KEYS.validated(id), RECORDS.validated, late);
  assert.equal(record.ruledOut, true, 'whoever validated it meanwhile is told');
  const asBefore = RECORDS.validated.omit({ ruledOut: true });
  const { total, pages: none } = (await readRecord(storage, KEYS.validated(id), asBefore)) ?? late;
  assert.deepEqual([total, none], [0, []]);
});

test('what was read once is kept, what was absent is asked for again', async () => {
  const id = `file-${'1'.repeat(32)}`;
  const records = new Records(storage);
  assert.equal(await records.standingFile(id, 0), null);
  const record: FileRecord = {
    v,
    id,
    tenant: 'a',
    filename: 'f',
    purpose: 'batch',
    bytes: 1,
    createdAtMs: 0,
    expiresAtMs: 1_000,
    source: { kind: 'upload' },
  };
  await createRecord(storage, KEYS.fileRecord(id), RECORDS.file, record);
  assert.deepEqual(await records.standingFile(id, 999), record);
  assert.equal(await records.standingFile(id, 1_000), null, 'expired');
  await writeFile(join(directory, KEYS.fileRecord(id)), 'damaged');
  assert.deepEqual(await records.file(id), record, 'kept');
  await assert.rejects(new Records(storage).file(id), /damaged/);
  await createRecord(storage, KEYS.fileTombstone(id), RECORDS.tombstone, { v, deletedAtMs: 5 });
  assert.equal(await records.standingFile(id, 0), null, 'deleted');
  await storage.remove(KEYS.fileTombstone(id));
  assert.deepEqual(await records.tombstone(id), { v, deletedAtMs: 5 });
});

const line = { part: 'output' as const, text: '{}' };

test('footers are read from the end of their pages, also one that is longer than what is read first', async () => {
  const batch = 'batch_footers';
  const small = writePage(0, [line, { part: 'error', text: '{"a":1}' }], { counts: NO_COUNTS, waits: {} });
  const names = Array.from({ length: 3_000 }, (_, index) => [
    stageCounter(`cascade-${index}`, 0, 'inputTokens'),
    index,
  ]);
  const counts = { ...NO_COUNTS, ...(Object.fromEntries(names) as Record<string, number>) };
  const long = writePage(2, [line], { counts, waits: {} });
  assert.ok((footerLength(long.bytes) ?? 0) > LIMITS.footerBytes);
  await storage.create(KEYS.page(batch, 0), small.bytes);
  await storage.create(KEYS.page(batch, 2), long.bytes);
  assert.deepEqual(await readFooterOf(storage, batch, 2), long.footer);
  assert.deepEqual(await readFooters(storage, batch, [2, 1, 0]), [long.footer, null, small.footer]);
});

test('a page that is not whole, or not the one of its name, is an error', async () => {
  const batch = 'batch_damaged';
  const { bytes } = writePage(0, [line], { counts: NO_COUNTS, waits: {} });
  for (const [page, damaged, expected] of [
    [0, bytes.subarray(0, -5), /pages\/0000000 in storage has no footer/],
    [1, bytes, /pages\/0000001 in storage is damaged/],
    [2, Buffer.alloc(0), /has no footer/],
    [3, bytes.subarray(-20), /has no footer/],
  ] as const) {
    await storage.create(KEYS.page(batch, page), damaged);
    await assert.rejects(readFooterOf(storage, batch, page), expected);
  }
  const path = join(directory, KEYS.page(batch, 4));
  await storage.create(KEYS.page(batch, 4), writePage(4, [line], { counts: NO_COUNTS, waits: {} }).bytes);
  await writeFile(
    path,
    Buffer.concat([Buffer.from('x'), writePage(4, [line], { counts: NO_COUNTS, waits: {} }).bytes]),
  );
  await assert.rejects(readFooterOf(storage, batch, 4), /is not what its footer says/);
  await truncate(path, 0);
  await assert.rejects(readFooters(storage, batch, [4]), /has no footer/);
});
