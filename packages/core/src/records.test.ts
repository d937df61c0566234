import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RECORDS } from './records.ts';

const manifest = {
  v: 1,
  id: 'batch_1',
  tenant: 'default',
  inputFileId: 'file-1',
  endpoint: '/v1/chat/completions',
  completionWindow: '24h',
  metadata: null,
  outputExpiresAfterSeconds: null,
  createdAtMs: 0,
  expiresAtMs: 1,
  requestDigest: '',
};

const rules = {
  drafter: 'small',
  expert: 'large',
  acceptAt: 0.9,
  onDeadline: 'error',
  annotate: true,
  draftPrice: null,
  expertPrice: null,
};

test('a manifest from before signals had parameters reads as it was meant', () => {
  const read = RECORDS.manifest.parse({ ...manifest, cascades: { a: { ...rules, signal: 'min_logprob' } } });
  assert.deepEqual(read.cascades['a'], {
    ...rules,
    confidence: { signal: { name: 'min_logprob' }, calibration: null },
    both: false,
    limits: { contextTokens: null, images: true, tools: true },
  });
});

test('rules as they are written now are read back whole, and a signal that nobody knows is refused', () => {
  const now = {
    ...rules,
    confidence: { signal: { name: 'margin', over: 'min' }, calibration: { method: 'platt', a: 1, b: 0 } },
    both: true,
    limits: { contextTokens: 8_000, images: false, tools: true },
  };
  assert.deepEqual(RECORDS.manifest.parse({ ...manifest, cascades: { a: now } }).cascades['a'], now);
  assert.equal(
    RECORDS.manifest.safeParse({ ...manifest, cascades: { a: { ...rules, signal: 'guess' } } }).success,
    false,
  );
});
