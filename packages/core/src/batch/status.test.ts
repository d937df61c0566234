import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canCancel, NEXT_STATUS, shownStatus, type BatchStatus } from './status.ts';
import { isBatchId, batchIdOf, batchIdOfKey, isFileId, fileIdOf, newestFirst, resultFileId } from './ids.ts';
import { windowMs } from './window.ts';

test('the four final states lead nowhere, every other reaches one of them', () => {
  const finals = new Set(['completed', 'failed', 'expired', 'cancelled']);
  for (const [status, next] of Object.entries(NEXT_STATUS)) {
    assert.equal(next.length === 0, finals.has(status), status);
  }
});

test('what may be cancelled is what the contract says', () => {
  const may = (Object.keys(NEXT_STATUS) as BatchStatus[]).filter(canCancel);
  assert.deepEqual(may.toSorted(), ['cancelled', 'cancelling', 'in_progress', 'validating']);
});

test('the status shown follows phase and outcome', () => {
  assert.equal(shownStatus('validating', null, false), 'validating');
  assert.equal(shownStatus('open', null, true), 'in_progress');
  assert.equal(shownStatus('closed', 'completed', true), 'finalizing');
  assert.equal(shownStatus('closed', 'cancelled', false), 'cancelling');
  assert.equal(shownStatus('closed', 'expired', true), 'in_progress');
  assert.equal(shownStatus('closed', 'failed', false), 'validating');
});

test('windows: the superset of the contract and nothing else', () => {
  assert.equal(windowMs('24h'), 86_400_000);
  assert.equal(windowMs('1m'), 60_000);
  assert.equal(windowMs('7d'), 604_800_000);
  for (const bad of ['0m', '8d', '169h', '24', 'h', '24H', '-1h', '1.5h', ' 24h', '99999999d', '']) {
    assert.equal(windowMs(bad), null, bad);
  }
});

test('ids are what they are taken for, and the same key names the same batch', () => {
  const random = new Uint8Array(16).fill(7);
  assert.ok(isBatchId(batchIdOf(random)) && isFileId(fileIdOf(random)));
  assert.equal(batchIdOfKey('t', 'k'), batchIdOfKey('t', 'k'));
  assert.notEqual(batchIdOfKey('t', 'k'), batchIdOfKey('tk', ''));
  assert.ok(isFileId(resultFileId('batch_x', 'output')));
  assert.notEqual(resultFileId('batch_x', 'output'), resultFileId('batch_x', 'error'));
});

test('index keys sort the newest first', () => {
  const keys = [1, 5, 1_000, 1_700_000_000_000].map((ms) => newestFirst(ms, 'x'));
  assert.deepEqual(keys.toSorted(), keys.toReversed());
});
