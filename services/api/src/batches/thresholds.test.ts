import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withThresholds, type CascadeRules, type FieldRules } from '@spillway/core';
import { rulesOf } from '../../../../test/support/jobs.ts';
import { redecidedRules } from './thresholds.ts';

const calibration = { method: 'platt', a: 1, b: 0 } as const;

/** Values of the first stage's answers are judged by rules of their own. */
function rulesBy(acceptAt: number, fields: FieldRules): CascadeRules {
  const { stages, ...others } = rulesOf({ models: ['small', 'large'], acceptAt: [acceptAt] });
  return {
    ...others,
    stages: stages.map((stage) => (stage.judge === null ? stage : { ...stage, judge: { ...stage.judge, fields } })),
  };
}

const fieldsBy = (rules: CascadeRules, acceptAt: number | null) =>
  redecidedRules({ test: rules }, { test: [acceptAt] })['test']?.stages[0]?.judge?.fields;

test('values keep a threshold and a calibration of their own; those that are judged as their stage go on so', () => {
  const fields = { '/a': { acceptAt: 0.99 }, '/b': { acceptAt: 0.8, calibration }, '/c': { acceptAt: 0.8 } };
  const rules = rulesBy(0.8, fields);
  assert.deepEqual(fieldsBy(rules, 0.9), { ...fields, '/c': { acceptAt: 0.9 } });
  assert.deepEqual(fieldsBy(rules, null), fields);
});

test('where thresholds were found by a sample all values follow them, however often the batch is decided anew', () => {
  const found = withThresholds(rulesBy(0.8, { '/a': { acceptAt: 0.99 }, '/b': { acceptAt: 0.8, calibration } }), [0.7]);
  const once = redecidedRules({ test: found }, { test: [0.6] });
  assert.deepEqual(once['test']?.stages[0]?.judge?.fields, { '/a': { acceptAt: 0.6 }, '/b': { acceptAt: 0.6 } });
  const twice = redecidedRules(once, { test: [0.9] });
  assert.deepEqual(twice['test']?.stages[0]?.judge?.fields, { '/a': { acceptAt: 0.9 }, '/b': { acceptAt: 0.9 } });
});
