import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bar, describeProgress, rateOf, recent, type Snapshot } from './progress.ts';

const at = (atMs: number, done: number, more: Partial<Snapshot> = {}): Snapshot => ({
  atMs,
  status: 'in_progress',
  total: 1_000,
  done,
  split: null,
  ...more,
});

test('the rate is that of the last five seconds', () => {
  assert.equal(rateOf([]), null);
  assert.equal(rateOf([at(0, 0)]), null);
  assert.equal(rateOf([at(0, 0), at(10_000, 500), at(12_000, 600)]), 50);
  const history = [at(0, 0), at(2_000, 10), at(7_000, 60)];
  assert.deepEqual(recent(history, at(8_000, 70)), [at(7_000, 60), at(8_000, 70)]);
});

test('says how far it is, how fast and how it was split', () => {
  assert.equal(describeProgress([]), '');
  assert.equal(describeProgress([at(0, 0, { status: 'validating' })]), 'validating the file');
  assert.equal(describeProgress([at(0, 0)]), '0 of 1,000 documents');
  const split = { accepted: 150, escalated: 50 };
  assert.equal(
    describeProgress([at(0, 0), at(1_000, 200, { split })]),
    '200 of 1,000 documents · 150 accepted, 50 escalated (75 % accepted) · 200/s · 4 s left',
  );
  assert.match(describeProgress([at(0, 0), at(1_000, 1_000, { status: 'finalizing' })]), /· finalizing$/);
  // Nothing was done lately: nobody knows how long the rest takes.
  assert.equal(describeProgress([at(0, 20), at(1_000, 20)]), '20 of 1,000 documents');
});

test('the bar is full only when all is done', () => {
  assert.equal(bar(0, 0), `[${'-'.repeat(20)}]`);
  assert.equal(bar(999, 1_000), `[${'#'.repeat(19)}-]`);
  assert.equal(bar(1_000, 1_000), `[${'#'.repeat(20)}]`);
});
