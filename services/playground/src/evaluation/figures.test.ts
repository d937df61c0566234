import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Judged } from './figures.ts';
import { areaUnderRoc, calibrationError, cascadeAt, thresholdFor } from './figures.ts';

const judge = (confidence: number, drafterRight: boolean): Judged => ({ confidence, drafterRight, expertRight: true });

test('the area is 1 when every right draft is surer, a half when all are alike', () => {
  assert.equal(areaUnderRoc([judge(0.1, false), judge(0.2, false), judge(0.9, true)]), 1);
  assert.equal(areaUnderRoc([judge(0.5, false), judge(0.5, true), judge(0.5, true)]), 0.5);
  assert.equal(areaUnderRoc([judge(0.9, false), judge(0.1, true)]), 0);
});

test('a model that is sure and always wrong is off by its confidence', () => {
  assert.ok(Math.abs(calibrationError([judge(0.8, false), judge(0.8, false)], 2) - 0.8) < 1e-12);
});

test('a threshold for a share escalates that share', () => {
  const judged = Array.from({ length: 100 }, (_, i) => judge(i / 100, i >= 30));
  const acceptAt = thresholdFor(judged, 0.3);
  assert.deepEqual(cascadeAt(judged, acceptAt), { escalated: 0.3, accuracy: 1 });
});
