import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rulesOf, threeStageRules } from '../../../../test/support/jobs.ts';
import { cascadeRulesRecord } from '../batch/records.ts';
import { calibrationArtefact, type CalibrationArtefact } from '../calibration/index.ts';
import { readConfiguration, type Configuration } from '../config.ts';
import {
  fieldKey,
  isCalibrated,
  judgeIn,
  isLastStage,
  modelSpecOf,
  modelsOfRole,
  roleOf,
  snapshotRules,
  stageKey,
  stageOf,
  stageTier,
} from './rules.ts';

function configured(): Configuration {
  const read = readConfiguration(`
models:
  small: { base_url: http://a/v1, model: s, price: { input: 0.05, output: 0.2 }, context_tokens: 4096, tools: false }
  medium: { base_url: http://b/v1, model: m, images: false }
  large: { base_url: http://c/v1, model: l, price: { input: 1, cached_input: 0.25, output: 4 } }
cascades:
  invoices: { drafter: small, expert: large, accept_at: 0.9 }
  contracts:
    annotate: false
    on_deadline: draft
    stages:
      - { model: small, accept_at: 0.95 }
      - { model: medium, confidence: { signal: margin, calibration: f.json }, accept_at: 0.8 }
      - { model: large }
  drafts: { drafter: large, expert: medium, accept_at: 0.5 }
`);
  assert.equal(read.kind, 'valid');
  return read.configuration;
}

test('the last stage is the expert’s, every one before is a drafter’s', () => {
  const rules = threeStageRules();
  assert.deepEqual(
    [0, 1, 2].map((stage) => [roleOf(rules, stage), stageTier(rules, stage), isLastStage(rules, stage)]),
    [
      ['drafter', 'drafter.small', false],
      ['drafter', 'drafter.medium', false],
      ['expert', 'expert.large', true],
    ],
  );
  assert.equal(stageOf(rules, 1).model, 'medium');
  for (const stage of [-1, 3, 0.5]) assert.throws(() => stageOf(rules, stage), RangeError);
});

test('the models of a role, each once; a model may have both', () => {
  const { cascades } = configured();
  assert.deepEqual(modelsOfRole(Object.values(cascades), 'drafter'), ['small', 'medium', 'large']);
  assert.deepEqual(modelsOfRole(Object.values(cascades), 'expert'), ['large', 'medium']);
});

test('a snapshot holds what decides about documents, with the calibration of each stage', () => {
  assert.equal(stageKey('contracts', 1), 'contracts/2');
  const artefact = calibrationArtefact.parse({
    kind: 'spillway.calibration',
    v: 2,
    cascade: 'contracts',
    stage: 2,
    ask: 'answer',
    accept_before: [0.95],
    model: 'm',
    signal: { name: 'margin', over: 'min' },
    calibration: { method: 'platt', a: 1, b: 0 },
    labels: 300,
    right: 200,
    createdAt: '2026-01-01T00:00:00Z',
    measured: { ece: 0.01, brier: 0.1, auroc: 0.9 },
  });
  const all = snapshotRules(configured(), new Map([['contracts/2', artefact]]), true);
  assert.deepEqual(Object.keys(all), ['invoices', 'contracts', 'drafts']);
  assert.deepEqual(all['invoices'], {
    stages: [
      {
        model: 'small',
        ask: 'answer',
        judge: { confidence: { signal: { name: 'sum_logprob' }, calibration: null }, acceptAt: 0.9 },
        limits: { contextTokens: 4096, images: true, tools: false },
        price: { input: 0.05, output: 0.2 },
      },
      {
        model: 'large',
        ask: 'answer',
        judge: null,
        limits: { contextTokens: null, images: true, tools: true },
        price: { input: 1, cached_input: 0.25, output: 4 },
      },
    ],
    shadow: true,
    onDeadline: 'error',
    annotate: true,
  });
  const { stages, onDeadline, annotate } = all['contracts'] ?? rulesOf();
  assert.deepEqual([onDeadline, annotate], ['draft', false]);
  assert.deepEqual(
    stages.map(({ judge }) => judge?.confidence.calibration ?? null),
    [null, { method: 'platt', a: 1, b: 0 }, null],
  );
  assert.deepEqual(
    stages.map(({ judge }) => judge?.acceptAt ?? null),
    [0.95, 0.8, null],
  );
  const formatsOf = (made_with: CalibrationArtefact['made_with']) => {
    const own = snapshotRules(configured(), new Map([['contracts/2', { ...artefact, made_with }]]), false);
    return cascadeRulesRecord.parse(own)['contracts']?.stages[1]?.judge?.formats;
  };
  assert.deepEqual(formatsOf({ server: 'a1b2c3d4e5f6', formats: ['json_object'] }), ['json_object']);
  assert.deepEqual(formatsOf({ server: 'a1b2c3d4e5f6', formats: null }), undefined);
  assert.deepEqual(formatsOf(undefined), undefined);
});

test('how a verdict is judged is frozen with its calibration, and read again from the manifest', () => {
  const read = readConfiguration(`
models:
  small: { base_url: "http://127.0.0.1:1/v1", model: s }
  large: { base_url: "http://127.0.0.1:1/v1", model: l }
cascades:
  judged: { drafter: small, expert: large, accept_at: 0.9, ask: verdict, verdict: { accept_at: 0.7, calibration: f } }
`);
  assert.ok(read.kind === 'valid');
  const artefact = calibrationArtefact.parse({
    kind: 'spillway.calibration',
    v: 2,
    cascade: 'judged',
    stage: 2,
    ask: 'verdict',
    accept_before: [0.9],
    model: 'l',
    made_with: { server: 'a1b2c3d4e5f6', formats: ['text'] },
    signal: { name: 'self_assessment' },
    calibration: { method: 'platt', a: 1, b: 0 },
    labels: 300,
    right: 200,
    createdAt: '2026-01-01T00:00:00Z',
    measured: { ece: 0.01, brier: 0.1, auroc: 0.9 },
  });
  const own = snapshotRules(read.configuration, new Map([['judged/2', artefact]]), false);
  const [first, second] = cascadeRulesRecord.parse(JSON.parse(JSON.stringify(own)))['judged']?.stages ?? [];
  const confidence = { signal: { name: 'self_assessment' }, calibration: { method: 'platt', a: 1, b: 0 } };
  const rule = { confidence, acceptAt: 0.7, formats: ['text'] };
  assert.deepEqual([second?.ask, second?.judge, second?.verdict], ['verdict', null, rule]);
  assert.ok(first !== undefined && second !== undefined);
  assert.deepEqual([judgeIn(first)?.acceptAt, judgeIn(second)?.acceptAt, 'verdict' in first], [0.9, 0.7, false]);
});

test('a value has its own threshold and calibration, or those of its stage', () => {
  const read = readConfiguration(`
models:
  small: { base_url: "http://127.0.0.1:1/v1", model: s }
  large: { base_url: "http://127.0.0.1:1/v1", model: l }
cascades:
  x:
    drafter: small
    expert: large
    accept_at: 0.9
    fields: { /a: { accept_at: 0.99 }, /b: { calibration: b.json }, /c: { accept_at: 0.5, calibration: c.json } }
`);
  assert.ok(read.kind === 'valid', JSON.stringify(read));
  const artefactOf = (field: string, b: number) =>
    calibrationArtefact.parse({
      kind: 'spillway.calibration',
      v: 2,
      cascade: 'x',
      stage: 1,
      ask: 'answer',
      field,
      accept_before: [],
      model: 's',
      signal: { name: 'sum_logprob' },
      calibration: { method: 'platt', a: 1, b },
      labels: 300,
      right: 200,
      createdAt: '2026-01-01T00:00:00Z',
      measured: { ece: 0.01, brier: 0.1, auroc: 0.9 },
    });
  const own = snapshotRules(
    read.configuration,
    new Map(['/b', '/c'].map((field, at) => [fieldKey('x', 0, field), artefactOf(field, at)])),
    false,
  );
  const judge = cascadeRulesRecord.parse(JSON.parse(JSON.stringify(own)))['x']?.stages[0]?.judge;
  assert.deepEqual(judge?.fields, {
    '/a': { acceptAt: 0.99 },
    '/b': { acceptAt: 0.9, calibration: { method: 'platt', a: 1, b: 0 } },
    '/c': { acceptAt: 0.5, calibration: { method: 'platt', a: 1, b: 1 } },
  });
});

test('a confidence is calibrated by a calibration of answers of its kind, or by one that does not say', () => {
  const signal = { name: 'sum_logprob' } as const;
  const rule = { confidence: { signal, calibration: { method: 'platt', a: 1, b: 0 } }, acceptAt: 0.9 } as const;
  assert.equal(isCalibrated(rule, 'json_schema'), true);
  assert.equal(isCalibrated({ ...rule, formats: ['json_schema'] }, 'json_schema'), true);
  assert.equal(isCalibrated({ ...rule, formats: ['json_object', 'text'] }, 'json_schema'), false);
  const none = { ...rule, confidence: { signal, calibration: null } };
  assert.equal(isCalibrated(none, 'text'), false);
});

test('a model is found by its name, and a name that nothing has is a mistake', () => {
  assert.equal(modelSpecOf(configured(), 'medium').model, 'm');
  assert.throws(() => modelSpecOf(configured(), 'huge'), RangeError);
});
