import assert from 'node:assert/strict';
import { test } from 'node:test';
import { manifestOf } from '../../../../test/support/records.ts';
import { rulesOf } from '../../../../test/support/jobs.ts';
import { addCounts, NO_COUNTS, readCounts, stageCounter, writeCounts } from '../accounting/counts.ts';
import type { CascadeCalibration } from './calibration-record.ts';
import { showThresholds } from './shown-thresholds.ts';

const aim = { kind: 'promise', agreement: 0.95, certainty: 0.95, otherwise: 'expert' } as const;
const manifest = manifestOf('batch_1', {
  tenant: 't',
  createdAtMs: 0,
  expiresAtMs: 1,
  cascades: { test: rulesOf({ aim }), fixed: rulesOf() },
});
const draws = { test: { population: 1_000, documents: [1, 5, 9] } };
const certified: CascadeCalibration = {
  aim,
  population: 1_000,
  n: 136,
  outcome: 'certified',
  stages: [{ acceptAt: 0.8, allowed: 3, disagreements: 2, bound: 0.047 }],
  expertShare: 0.3,
};

/** What a batch shows of so many drafts that were delivered at the deadline. */
function shown(deadlineDrafts: number, cascades: Record<string, CascadeCalibration> | null, isOver = false) {
  const counts = addCounts(NO_COUNTS, { [stageCounter('test', 0, 'deadlineDrafts')]: deadlineDrafts });
  // As a final record keeps them.
  const kept = readCounts(writeCounts(counts));
  return showThresholds(
    manifest,
    { draws, calibration: cascades === null ? null : { cascades } },
    { counts: kept, isOver },
  );
}

test('only cascades whose thresholds are found are shown, and until then that they are sampled', () => {
  const [one, ...more] = shown(0, null);
  assert.deepEqual(
    [one?.cascade, one?.outcome, one?.documents, one?.sampled, one?.stages],
    ['test', 'sampling', 1_000, 3, []],
  );
  assert.equal(more.length, 0);
  const [over] = shown(0, null, true);
  assert.deepEqual([over?.outcome, over?.reason], ['not_certified', 'sample_unfinished']);
});

test('drafts that were delivered at the deadline count as disagreements', () => {
  const outcomes = [0, 3, 4, 500].map((drafts) => {
    const [one] = shown(drafts, { test: certified });
    return [one?.outcome, one?.reason];
  });
  // 50 of 1,000 may disagree, and 47 are left in doubt.
  assert.deepEqual(outcomes, [
    ['certified', null],
    ['certified', null],
    ['not_certified', 'deadline'],
    ['not_certified', 'deadline'],
  ]);
  const expert: CascadeCalibration = {
    ...certified,
    outcome: 'not_certified',
    reason: 'disagreements',
    expertOnly: true,
  };
  assert.deepEqual(shown(500, { test: expert })[0]?.reason, 'disagreements');
  assert.equal(
    shown(0, { test: { ...certified, stages: [{ acceptAt: 2, bound: 0 }] } })[0]?.stages[0]?.accept_at,
    null,
  );
});
