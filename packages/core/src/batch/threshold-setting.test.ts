import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CascadeRules, StageRules } from '../cascade/rules.ts';
import { thresholdsOf, withThresholds } from '../cascade/thresholds.ts';
import { readThresholdSettings, withSettings, type SettingProblem } from './threshold-setting.ts';

const stage = (model: string, acceptAt: number | null): StageRules => ({
  model,
  ask: 'answer',
  judge: acceptAt === null ? null : { confidence: { signal: { name: 'sum_logprob' }, calibration: null }, acceptAt },
  limits: { contextTokens: null, images: true, tools: true },
  price: null,
});
const rules = (...models: StageRules[]): CascadeRules => ({
  stages: models,
  shadow: false,
  onDeadline: 'error',
  annotate: true,
});
const CASCADES = {
  two: rules(stage('small', 0.9), stage('large', null)),
  three: rules(stage('small', 0.9), stage('medium', 0.8), stage('large', null)),
};

/** What a batch's metadata make of the cascades, or what is wrong with them. */
function decided(metadata: Record<string, string>, cascades: Readonly<Record<string, CascadeRules>> = CASCADES) {
  const read = readThresholdSettings(metadata);
  const found = read.kind === 'problem' ? read : withSettings(cascades, read);
  if (found.kind === 'problem') return found;
  return Object.fromEntries(Object.entries(found.rules).map(([name, own]) => [name, own.aim ?? thresholdsOf(own)]));
}

const PROMISE = { kind: 'promise', agreement: 0.95, certainty: 0.95, otherwise: 'expert' };

test('thresholds are for all cascades or for named ones, one for every stage that judges or one for each', () => {
  assert.deepEqual(decided({}), { two: [0.9], three: [0.9, 0.8] });
  assert.deepEqual(decided({ 'spillway.accept_at': '0.5' }), { two: [0.5], three: [0.5, 0.5] });
  assert.deepEqual(decided({ 'spillway.accept_at': 'three: 0.7, .6 ; two:1' }), { two: [1], three: [0.7, 0.6] });
  assert.deepEqual(decided({ 'spillway.accept_at': 'two:0.5;0.4' }), { two: [0.5], three: [0.4, 0.4] });
});

test('a promise and a budget go before what is configured, and each cascade has one of them', () => {
  assert.deepEqual(decided({ 'spillway.promise': 'agreement=0.95' }), { two: PROMISE, three: PROMISE });
  const both = {
    'spillway.promise': 'two:agreement=0.95,certainty=0.95',
    'spillway.budget': 'three: expert_share=.25',
  };
  assert.deepEqual(decided(both), { two: PROMISE, three: { kind: 'budget', expert_share: 0.25 } });
  const effort = decided({ 'spillway.promise': 'agreement=0.9,certainty=0.99,otherwise=best_effort' });
  const other = { kind: 'promise', agreement: 0.9, certainty: 0.99, otherwise: 'best_effort' };
  assert.deepEqual(effort, { two: other, three: other });
  const configured = { two: { ...CASCADES.two, aim: { kind: 'budget', expert_share: 0.1 } as const } };
  assert.deepEqual(decided({}, configured), { two: { kind: 'budget', expert_share: 0.1 } });
  assert.deepEqual(decided({ 'spillway.accept_at': '0.3' }, configured), { two: [0.3] });
});

const REFUSED: readonly (readonly [string, string])[] = [
  ['spillway.accept_at', ''],
  ['spillway.accept_at', '1.5'],
  ['spillway.accept_at', '-0.1'],
  ['spillway.accept_at', 'high'],
  ['spillway.accept_at', '0.9,0.8'],
  ['spillway.accept_at', '0.9,'],
  ['spillway.accept_at', '0.9;0.8'],
  ['spillway.accept_at', 'four:0.9'],
  ['spillway.accept_at', '1e-1'],
  ['spillway.budget', '0.25'],
  ['spillway.budget', 'expert_share=1'],
  ['spillway.budget', 'expert_share=0'],
  ['spillway.budget', 'share=0.2'],
  ['spillway.budget', 'expert_share=0.2,expert_share=0.3'],
  ['spillway.promise', 'agreement=95'],
  ['spillway.promise', 'agreement=1'],
  ['spillway.promise', 'certainty=0.95'],
  ['spillway.promise', 'agreement=0.95,certainty=1'],
  ['spillway.promise', 'agreement=0.95,otherwise=drafter'],
  ['spillway.promise', 'agreement=0.95=0.9'],
  ['spillway.promise', 'agreement=0.9,certainty=0.00000000000000001'],
  ['spillway.promise', 'agreement=0.9,kind=budget'],
  ['spillway.budget', 'expert_share=0.5,kind=x'],
  ['spillway.promise', 'agreement=0.95,__proto__=1'],
  ['spillway.promise', 'accuracy=0.9'],
  ['spillway.promise', 'accuracy=0.9,agreement=0.9'],
  ['spillway.labels', 'file-1'],
];

for (const [key, value] of REFUSED) {
  test(`${key} of '${value}' is refused by its name`, () => {
    const found = decided({ [key]: value }) as unknown as SettingProblem;
    assert.equal(found.kind, 'problem');
    assert.equal(found.key, key);
    assert.ok(found.expected.length > 10, found.expected);
  });
}

test('an accuracy is promised by labels', () => {
  const found = decided({ 'spillway.promise': 'two: accuracy=0.9', 'spillway.labels': 'file-1' });
  const aim = { kind: 'accuracy', accuracy: 0.9, certainty: 0.95, otherwise: 'expert' };
  assert.deepEqual(found, { two: aim, three: [0.9, 0.8] });
});

test('a cascade cannot have two of them, and a shadow run decides nothing by thresholds', () => {
  const two = decided({ 'spillway.accept_at': '0.9', 'spillway.promise': 'agreement=0.9' });
  const expected = "either this key or 'spillway.accept_at' for all cascades";
  assert.deepEqual(two, { kind: 'problem', key: 'spillway.promise', expected });
  const shadow = { two: { ...CASCADES.two, shadow: true, aim: { kind: 'budget', expert_share: 0.1 } as const } };
  assert.deepEqual(decided({}, shadow), { two: [0.9] });
  assert.equal((decided({ 'spillway.budget': 'expert_share=0.2' }, shadow) as { kind: unknown }).kind, 'problem');
});

test('where a stage in between is asked for values and judges them no thresholds can be found', () => {
  const medium: StageRules = { ...stage('medium', 0.8), ask: 'fields' };
  const cascades = { ...CASCADES, values: rules(stage('small', 0.9), medium, stage('large', null)) };
  for (const [key, value] of [
    ['spillway.promise', 'agreement=0.95'],
    ['spillway.budget', 'values: expert_share=0.2'],
  ] as const) {
    const found = decided({ [key]: value }, cascades);
    assert.deepEqual([found['kind'], found['key']], ['problem', key]);
    assert.match(JSON.stringify(found), /no such key for 'values', a stage of which is asked for single values/);
  }
  assert.deepEqual(decided({ 'spillway.promise': 'two: agreement=0.95' }, cascades), {
    ...decided({}, cascades),
    two: PROMISE,
  });
  const last = rules(stage('small', 0.9), { ...stage('large', null), ask: 'fields' });
  assert.deepEqual(decided({ 'spillway.promise': 'agreement=0.95' }, { last }), { last: PROMISE });
});

test('thresholds that are found go by the calibration of the stage, for values as well', () => {
  const small = stage('small', 0.9);
  const fields = { '/a': { acceptAt: 0.5, calibration: { method: 'platt', a: 1, b: 0 } as const } };
  const own = rules({ ...small, judge: { ...(small.judge ?? assert.fail()), fields } }, stage('large', null));
  assert.deepEqual(withThresholds(own, [0.7]).stages[0]?.judge?.fields, { '/a': { acceptAt: 0.7 } });
});
