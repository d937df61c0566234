import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rulesOf, threeStageRules } from '../../../../test/support/jobs.ts';
import type { CascadeRules } from './rules.ts';
import { askedWhole, tightenedRules } from './tighten.ts';

test('a tightened cascade asks its last stage from scratch; others stay as they are', () => {
  const plain = threeStageRules();
  const judge = { confidence: { signal: { name: 'self_assessment' as const }, calibration: null }, acceptAt: 0.9 };
  const last = { ...plain.stages[2]!, ask: 'verdict' as const, verdict: judge, tolerance: 0.3 };
  const verdict: CascadeRules = { ...plain, stages: [...plain.stages.slice(0, 2), last] };
  assert.deepEqual(askedWhole(verdict), plain);
  assert.equal(askedWhole(plain).tightened, undefined);
  const other = rulesOf();
  const rules = tightenedRules({ verdict, other }, ['verdict', 'gone']);
  assert.deepEqual(rules, { verdict: { ...plain, tightened: true }, other });
});
