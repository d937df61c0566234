import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  KEYS,
  RECORD_VERSION,
  RECORDS,
  readResultLine,
  stageCounts,
  readCounts,
  type CascadeRules,
  type DocumentJob,
  type EndingRecord,
  type Manifest,
  type Validated,
} from '@spillway/core';
import { enqueuePage } from '@spillway/redis';
import { createRecord, readFooterOf } from '@spillway/storage';
import { sealUnfinished } from '../../services/dispatcher/src/seal.ts';
import { dispatcherParts, type DispatcherParts } from '../support/dispatcher.ts';
import { draftOf, jobOf, threeStageRules } from '../support/jobs.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { markRecovered, openBatch } from '../support/stores.ts';
import { requestLine } from '../support/request-line.ts';

/** A page of a three-stage cascade is sealed at the deadline, with its documents in every queue. */

let redis: RedisServer;
let directory: string;

before(async () => {
  redis = await startRedis();
  directory = await mkdtemp(join(tmpdir(), 'spillway-deadline-'));
});
after(async () => {
  await redis.stop();
  await rm(directory, { recursive: true, force: true });
});

const ID = 'batch_deadline';
const v = RECORD_VERSION;
const small = draftOf({ model: 'small', handedOffAtMs: 400 });
const medium = draftOf({ model: 'medium', handedOffAtMs: 800 });
const cut = draftOf({ model: 'medium', reason: 'truncated', handedOffAtMs: 800 });

/** Where each document waits, and with which drafts; then the stage, from 1, whose draft is delivered. */
const WAITING: readonly [tiers: readonly string[], job: Partial<DocumentJob>, stage: number | null][] = [
  [['drafter.small'], {}, null],
  [['drafter.medium'], { stage: 1, drafts: [small] }, 1],
  [['expert.large'], { stage: 2, drafts: [small, medium] }, 2],
  // A draft that was cut short is no answer: the one before it is.
  [['expert.large'], { stage: 2, drafts: [small, cut] }, 1],
  // A draft that is still to be handed off.
  [['drafter.small'], { stage: 0, drafts: [{ ...small, handedOffAtMs: null }] }, 1],
  [[], {}, null],
];

async function validated(parts: DispatcherParts, rules: CascadeRules): Promise<void> {
  const lines = WAITING.map((_, index) => `${requestLine('x', `doc-${index}`)}\n`).join('');
  const inputFileId = `file-${'0'.repeat(32)}`;
  const manifest: Manifest = {
    v,
    id: ID,
    tenant: 'default',
    inputFileId,
    endpoint: '/v1/chat/completions',
    completionWindow: '24h',
    metadata: null,
    outputExpiresAfterSeconds: null,
    createdAtMs: 0,
    expiresAtMs: Number.MAX_SAFE_INTEGER,
    requestDigest: '',
    cascades: { test: rules },
  };
  const page = { first: 0, documents: WAITING.length, offset: 0, bytes: lines.length, lineBefore: 0 };
  await parts.storage.create(KEYS.fileBytes(inputFileId), Buffer.from(lines));
  await createRecord(parts.storage, KEYS.manifest(ID), RECORDS.manifest, manifest);
  const record: Validated = { v, validatedAtMs: 0, total: WAITING.length, cascades: ['test'], pages: [page] };
  await createRecord(parts.storage, KEYS.validated(ID), RECORDS.validated, record);
  await openBatch(parts.redis, ID, WAITING.length, 1);
  await enqueuePage(parts.redis, ID, 0, page, 1);
  for (const [document, [tiers, job]] of WAITING.entries()) {
    for (const tier of tiers)
      await parts.queues.add(tier, [jobOf({ batch: ID, document, ...job })], () => document + 1);
  }
  // During a hand-off there are two jobs of a document; the later one has more drafts.
  await parts.queues.add('drafter.medium', [jobOf({ batch: ID, document: 2, stage: 1, drafts: [small] })], () => 1);
}

for (const onDeadline of ['draft', 'error'] as const) {
  test(`three stages, on_deadline ${onDeadline}: each document's latest whole draft, or an error`, async () => {
    await using parts = await dispatcherParts(redis, `deadline-${onDeadline}`, join(directory, onDeadline));
    await markRecovered(parts.redis);
    await validated(parts, threeStageRules({ onDeadline }));
    const plan = await parts.records.plan(ID);
    assert.ok(plan !== null);
    const ending: EndingRecord = { v, outcome: 'expired', endedAtMs: 1, errors: [] };
    const footer = await sealUnfinished({ ...parts, spans: null }, { plan, page: 0, ending });
    assert.deepEqual(await readFooterOf(parts.storage, ID, 0), footer);
    const bytes = await parts.storage.read(KEYS.page(ID, 0));
    const text = Buffer.from(bytes ?? [])
      .toString()
      .slice(0, footer.outputBytes + footer.errorBytes);
    const lines = text
      .trimEnd()
      .split('\n')
      .map((line) => readResultLine(line));
    const delivered = new Map(lines.map((line) => [line?.custom_id, line]));
    assert.equal(delivered.size, WAITING.length, 'every document has its line');
    for (const [document, [, , stage]] of WAITING.entries()) {
      const line = delivered.get(`doc-${document}`);
      const expected = onDeadline === 'draft' ? stage : null;
      assert.equal(line?.cascade?.stage ?? null, expected, `doc-${document}`);
      assert.equal(line?.error?.code ?? null, expected === null ? 'batch_expired' : null);
      assert.equal(line?.cascade?.stages.at(-1)?.outcome ?? null, expected === null ? null : 'deadline_draft');
    }
    const counts = readCounts(footer);
    const drafts = onDeadline === 'draft' ? 4 : 0;
    // The lines of the ending count nowhere: their documents were never settled.
    assert.deepEqual([counts.completed, counts.accepted], [drafts, 0]);
    assert.equal(stageCounts(counts, 'test', 0).inputTokens, drafts * 100);
    for (const tier of plan.tiers) assert.equal(await parts.queues.waiting(tier), 0, `${tier} holds none of its jobs`);
  });
}
