import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answerOf, draftOf, jobOf, rulesOf } from '../../../../test/support/jobs.ts';
import type { CascadeRules, FieldRules } from '../cascade/rules.ts';
import { runAtOnce } from '../text/slices.ts';
import type { Ending } from './ending.ts';
import type { Draft } from './job.ts';
import { keptText, readingDelivered, readingKept } from './kept.ts';
import { keptResult } from './kept-result.ts';
import { redecide } from './redecide.ts';
import { readResultLine } from './result-line.ts';
import { resultOf } from './result.ts';

const { endpoint, body } = jobOf();
const jsonAnswer = answerOf({
  body: { choices: [{ message: { content: '{"a":1,"b":{"c":2,"d":3}}' }, finish_reason: 'stop' }] },
});
const VALUES = { answer: jsonAnswer, score: 0.5, confidence: 0.5, valueScores: [0.9, 0.7, 0.5], sureValues: '100' };

/** Every stage but the first is asked for the values that are unsure. */
function rulesBy(acceptAt: readonly number[], fields?: FieldRules): CascadeRules {
  const models = ['small', 'medium', 'large'].slice(2 - acceptAt.length);
  const { stages, ...others } = rulesOf({ models, acceptAt, signal: { name: 'label', answers: ['yes', 'no'] } });
  return {
    ...others,
    stages: stages.map((stage, at) => {
      const { judge } = stage;
      const ask = at === 0 ? 'answer' : 'fields';
      return { ...stage, ask, judge: judge === null || at > 0 || fields === undefined ? judge : { ...judge, fields } };
    }),
  };
}

/** What is kept of a document that the last stage answered behind these drafts. */
function keptOf(rules: CascadeRules, ...drafts: readonly Draft[]) {
  const document = { job: jobOf({ stage: drafts.length, drafts }), rules };
  const ending: Ending = { kind: 'answered', answer: answerOf(), startedAtMs: 1, endedAtMs: 2 };
  const delivered = runAtOnce(readingDelivered(resultOf(document, ending).line.text));
  return runAtOnce(readingKept(keptText(document, ending) ?? '', delivered)) ?? assert.fail();
}

test('a value is decided anew by its own calibration, and its line says whether all were sure', () => {
  const kept = keptOf(rulesBy([0.8]), draftOf(VALUES));
  const decide = (acceptAt: number, fields: FieldRules) => {
    const rules = rulesBy([acceptAt], fields);
    const decided = runAtOnce(redecide({ kept, rules, endpoint, body }));
    if (decided.kind === 'asked') return assert.fail('the expert has answered');
    const result = keptResult({ document: { job: jobOf(), rules }, kept, decided, from: 'batch_old' });
    const [first] = readResultLine(result.line.text)?.cascade?.stages ?? [];
    return [decided.by, decided.drafts[0]?.sureValues, first?.values_sure];
  };
  const [never, always] = [-20, 20].map((b) => ({ method: 'platt', a: 1, b }) as const);
  assert.deepEqual(decide(0.8, { '/b': { acceptAt: 0.8, calibration: always } }), ['draft', undefined, true]);
  assert.deepEqual(decide(0.5, { '/a': { acceptAt: 0.5, calibration: never } }), ['answer', '011', false]);
  assert.deepEqual(decide(0.6, { '/a': { acceptAt: 0.6 } }), ['answer', '110', false]);
});

test('what a stage in between put together of values is not known to be final or not: it is asked again', () => {
  const how = {
    kind: 'fields',
    asked: ['/b'],
    isEstimated: false,
    instead: { inputTokens: 1, outputTokens: 1, ms: null },
  } as const;
  const merged = draftOf({
    ...VALUES,
    valueScores: undefined,
    model: 'medium',
    ask: 'fields',
    how,
    areValuesSure: false,
  });
  const kept = keptOf(rulesBy([0.8, 0.8]), draftOf(VALUES), merged);
  for (const acceptAt of [0.8, 0.6, 0]) {
    const decided = runAtOnce(redecide({ kept, rules: rulesBy([0.8, acceptAt]), endpoint, body }));
    if (decided.kind === 'settled') assert.fail('nobody can say it');
    assert.deepEqual([decided.drafts.length, decided.isDraftedAgain], [1, true]);
  }
  assert.equal(runAtOnce(redecide({ kept, rules: rulesBy([0.5, 0.8]), endpoint, body })).kind, 'settled');
  const whole = draftOf({ ...VALUES, model: 'medium', ask: 'fields', how: { kind: 'answer', reason: 'all_unsure' } });
  const asked = keptOf(rulesBy([0.8, 0.8]), draftOf(VALUES), whole);
  const decided = runAtOnce(redecide({ kept: asked, rules: rulesBy([0.8, 0.4]), endpoint, body }));
  assert.deepEqual(decided.kind === 'settled' && [decided.by, decided.drafts.length], ['draft', 1]);
});

test('what calls took that brought no answer stays known', () => {
  const spent = { inputTokens: 7, cachedTokens: 0, outputTokens: 1, reasoningTokens: 0 };
  const failed = draftOf({ answer: null, score: null, confidence: null, reason: 'draft_failed', spent });
  const kept = keptOf(rulesBy([0.8]), failed);
  assert.deepEqual(kept.stages[0]?.usage, spent);
  const decided = runAtOnce(redecide({ kept, rules: rulesBy([0.9]), endpoint, body }));
  assert.deepEqual(decided.drafts[0]?.spent, spent);
  assert.deepEqual(keptOf(rulesBy([0.8]), ...decided.drafts).stages[0]?.usage, spent);
});

test('a stage that was passed over is shown as passed over again, whatever for', () => {
  for (const reason of ['too_long', 'not_certified', 'promise_at_risk', 'sampled'] as const) {
    const none = { answer: null, score: null, confidence: null, fields: null, attempts: [] };
    const rules = rulesBy([0.8]);
    const kept = keptOf(rules, draftOf({ ...none, reason }));
    const decided = runAtOnce(redecide({ kept, rules, endpoint, body }));
    if (decided.kind === 'asked') assert.fail('the expert has answered');
    const result = keptResult({ document: { job: jobOf(), rules }, kept, decided, from: 'batch_old' });
    const [first] = readResultLine(result.line.text)?.cascade?.stages ?? [];
    assert.deepEqual([first?.outcome, first?.reason], ['skipped', reason]);
  }
});
