import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rulesOf } from '../../../../test/support/jobs.ts';
import { NO_COUNTS } from '../accounting/counts.ts';
import { cascadeRulesRecord, RECORD_VERSION, type FinalRecord, type Manifest } from '../batch/records.ts';
import { batchSpans } from './batch.ts';
import { batchTrace } from './ids.ts';

const manifest: Manifest = {
  v: RECORD_VERSION,
  id: 'batch_1',
  tenant: 'default',
  inputFileId: 'file-1',
  endpoint: '/v1/chat/completions',
  completionWindow: '24h',
  metadata: null,
  outputExpiresAfterSeconds: null,
  createdAtMs: 1_000,
  expiresAtMs: 9_000,
  requestDigest: '',
  cascades: cascadeRulesRecord.parse({ a: rulesOf() }),
};

const final: FinalRecord = {
  v: RECORD_VERSION,
  outcome: 'completed',
  total: 10,
  model: 'a',
  counts: { ...NO_COUNTS, completed: 8, failed: 2, escalated: 3 },
  waits: {},
  inProgressAtMs: 1_500,
  closedAtMs: 4_000,
  endedAtMs: 4_200,
  errors: [],
  pages: [],
  outputFileId: null,
  errorFileId: null,
};

test('the trace of a batch: its phases in order, a microsecond apart, and what came of it', () => {
  const [root, ...phases] = batchSpans(manifest, final);
  assert.deepEqual(
    phases.map(({ name, startUs, endUs }) => [name, startUs / 1_000, endUs / 1_000]),
    [
      ['validate', 1_000, 1_499.999],
      ['documents', 1_500, 3_999.999],
      ['end', 4_000, 4_199.999],
    ],
  );
  assert.deepEqual([root?.startUs, root?.endUs, root?.error], [1_000_000, 4_200_000, null]);
  assert.deepEqual({ traceId: root?.traceId, spanId: root?.spanId }, batchTrace('batch_1'));
  assert.ok(phases.every(({ parentId, traceId }) => parentId === root?.spanId && traceId === root?.traceId));
  assert.equal(root?.attributes['cascade.documents.escalated'], 3);
});

test('a batch that never came to its documents failed by its first error', () => {
  const errors = [{ code: 'invalid_url', message: 'm', param: null, line: 1 }];
  const failed = { ...final, outcome: 'failed' as const, inProgressAtMs: null, errors };
  const [root, ...phases] = batchSpans(manifest, failed);
  assert.deepEqual(
    phases.map(({ name }) => name),
    ['validate', 'end'],
  );
  assert.equal(root?.error, 'invalid_url');
});
