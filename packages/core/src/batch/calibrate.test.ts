import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { CascadeRules, StageRules } from '../cascade/rules.ts';
import { thresholdsOf } from '../cascade/thresholds.ts';
import { planAim, type Aim } from '../promise/index.ts';
import { calibrateCascade, type DrawnDocument } from './calibrate.ts';
import { awaitsCalibration, rulesInForce, takenOver } from './rules-in-force.ts';
import { readThresholdSettings } from './threshold-setting.ts';
import { DocumentDraws, drawnDocuments } from './sample-draws.ts';

const stage = (model: string, acceptAt: number | null): StageRules => ({
  model,
  ask: 'answer',
  judge: acceptAt === null ? null : { confidence: { signal: { name: 'sum_logprob' }, calibration: null }, acceptAt },
  limits: { contextTokens: null, images: true, tools: true },
  price: null,
});
const rulesOf = (aim: Aim, judging = 1): CascadeRules => ({
  stages: [...Array.from({ length: judging }, (_, at) => stage(`m${at}`, 0.9)), stage('large', null)],
  shadow: false,
  onDeadline: 'error',
  annotate: true,
  aim,
});

const PROMISE: Aim = { kind: 'promise', agreement: 0.95, certainty: 0.95, otherwise: 'expert' };
const EFFORT: Aim = { ...PROMISE, otherwise: 'best_effort' };

const drawn = (confidence: number | null, agrees = true, delivered: number | null = 1): DrawnDocument => ({
  judged: [{ confidence, agrees, wrongAt: null }],
  delivered,
});
const many = (count: number, one: DrawnDocument): DrawnDocument[] => Array.from({ length: count }, () => one);

const calibrate = (aim: Aim, all: readonly DrawnDocument[], population = 9_500) =>
  calibrateCascade({ rules: rulesOf(aim), population, drawn: all });

test('the threshold lies just above the disagreement that is one too many', () => {
  const found = calibrate(PROMISE, [
    ...many(400, drawn(0.9)),
    ...many(17, drawn(0.8, false)),
    ...many(83, drawn(0.7, false)),
  ]);
  const [own] = found.stages;
  assert.deepEqual([found.outcome, found.n, own?.allowed, own?.disagreements], ['certified', 500, 17, 17]);
  assert.ok(own !== undefined && own.acceptAt > 0.7 && own.acceptAt < 0.7 + 1e-9);
  assert.ok(Math.abs((found.expertShare ?? 0) - 83 / 500) < 1e-9);
  const force = rulesInForce({ a: rulesOf(PROMISE) }, { a: found })['a'];
  assert.deepEqual(force?.certificate, { agreement: 0.95, certainty: 0.95 });
  assert.deepEqual([thresholdsOf(force), force.aim, force.expertOnly], [[own.acceptAt], undefined, undefined]);
});

test('what cannot be certified goes to the expert, or to the best guess', () => {
  const bad = [...many(300, drawn(0.9)), ...many(200, drawn(0.9, false))];
  const expert = calibrate(PROMISE, bad);
  assert.deepEqual([expert.outcome, expert.reason, expert.expertOnly], ['not_certified', 'disagreements', true]);
  assert.deepEqual(expert.stages, [{ acceptAt: 2, allowed: 17, disagreements: 200, bound: 0 }]);
  const guess = calibrate(EFFORT, [
    ...many(450, drawn(0.9)),
    ...many(25, drawn(0.8, false)),
    ...many(25, drawn(0.7, false)),
  ]);
  assert.equal(guess.outcome, 'certified', 'there is a threshold above .8');
  const none = calibrate(EFFORT, [
    ...many(20, drawn(0.95, false)),
    ...many(10, drawn(0.9, false)),
    ...many(470, drawn(0.5)),
  ]);
  assert.equal(none.outcome, 'not_certified');
  assert.deepEqual(
    [none.expertOnly, (none.stages[0]?.acceptAt ?? 0) > 0.9],
    [undefined, true],
    '25 of 500 may be wrong',
  );
  assert.equal(rulesInForce({ a: rulesOf(EFFORT) }, { a: none })['a']?.certificate, undefined);
});

test('what cannot be found out says why, and what no sample could show costs nothing', () => {
  const reasonOf = (all: readonly DrawnDocument[], population?: number) => {
    const { outcome, reason, needed, expertShare } = calibrate(PROMISE, all, population);
    assert.equal(outcome, 'not_certified');
    return [reason, needed, expertShare];
  };
  assert.deepEqual(reasonOf(many(500, drawn(null))), ['no_evidence', undefined, 1]);
  assert.deepEqual(reasonOf([], 20), ['batch_too_small', 19, 1]);
  const one = { rules: rulesOf(PROMISE), population: 9_500, drawn: many(500, drawn(0.9)) };
  const blind = calibrateCascade({ ...one, cannotJudge: true });
  assert.deepEqual([blind.reason, blind.n, blind.expertOnly], ['no_evidence', 0, true]);
  const known = calibrate(EFFORT, [], 20);
  assert.deepEqual(
    [known.stages, known.expertShare],
    [[{ acceptAt: 0.9, configured: true }], null],
    'as it is configured',
  );
});

const MISSING: DrawnDocument = { judged: null, delivered: null };

test('of a promise what was not answered in time counts as wrong at any threshold', () => {
  const enough = calibrate(PROMISE, [...many(483, drawn(0.9)), ...many(17, MISSING)]);
  const [own] = enough.stages;
  assert.deepEqual([enough.outcome, enough.n, own?.disagreements, own?.allowed], ['certified', 500, 17, 17]);
  for (const aim of [PROMISE, EFFORT]) {
    const few = calibrate(aim, [...many(482, drawn(0.9)), ...many(18, MISSING)]);
    assert.deepEqual([few.outcome, few.reason, few.n], ['not_certified', 'sample_unfinished', 500]);
  }
  const accuracy: Aim = { kind: 'accuracy', accuracy: 0.9, certainty: 0.95, otherwise: 'expert' };
  const right = { ...drawn(0.9), right: { expert: true, drafts: [true] } };
  assert.equal(calibrate(accuracy, [...many(480, right), ...many(20, MISSING)]).outcome, 'certified');
  const unknown = calibrate(accuracy, [...many(400, right), ...many(100, MISSING)]);
  assert.deepEqual([unknown.outcome, unknown.reason], ['not_certified', 'sample_unfinished']);
});

test('a budget goes by what was answered, if that is most of what was drawn', () => {
  const aim: Aim = { kind: 'budget', expert_share: 0.5 };
  const answered = [...many(200, drawn(0.9, true, 0)), ...many(300, drawn(0.5, true, 0))];
  const most = calibrate(aim, [...answered, ...many(500, MISSING)]);
  assert.deepEqual([most.n, most.stages, most.expertShare], [500, [{ acceptAt: 0.5 }], 0]);
  const half = calibrate(aim, [...answered, ...many(501, MISSING)]);
  assert.deepEqual([half.n, half.stages, half.expertShare], [1_001, [{ acceptAt: 0.9, configured: true }], null]);
});

test('a threshold that accepts nothing of the sample promises nothing', () => {
  const surelyWrong = [...many(18, drawn(0.99, false)), ...many(482, drawn(0.5))];
  const expert = calibrate(PROMISE, surelyWrong);
  assert.deepEqual([expert.outcome, expert.reason, expert.expertOnly], ['not_certified', 'disagreements', true]);
  assert.equal(calibrate(PROMISE, [...many(17, drawn(0.99, false)), ...surelyWrong.slice(18)]).outcome, 'certified');
});

test('a budget of which no draft could be judged keeps its threshold', () => {
  const none = calibrate({ kind: 'budget', expert_share: 0.5 }, many(200, drawn(null)));
  assert.deepEqual([none.stages, none.expertShare], [[{ acceptAt: 0.9, configured: true }], null]);
});

test('what passes is no evidence that a draft is escalated', () => {
  const unknown: DrawnDocument = {
    judged: [{ confidence: null, agrees: true, wrongAt: null, isUnknown: true }],
    delivered: 1,
  };
  const found = calibrate(PROMISE, [...many(480, drawn(0.9)), ...many(20, unknown)]);
  assert.deepEqual([found.outcome, found.reason], ['not_certified', 'disagreements']);
});

test('an accuracy is not kept by drafts of which a wrong value is sure', () => {
  const aim: Aim = { kind: 'accuracy', accuracy: 0.9, certainty: 0.95, otherwise: 'expert' };
  const wrong: DrawnDocument = {
    judged: [{ confidence: 0.1, agrees: false, wrongAt: 0.99 }],
    delivered: 1,
    right: { expert: true, drafts: [false] },
  };
  const fine: DrawnDocument = {
    judged: [{ confidence: 0.9, agrees: true, wrongAt: null }],
    delivered: 1,
    right: { expert: true, drafts: [true] },
  };
  assert.equal(calibrate(aim, [...many(250, wrong), ...many(250, fine)]).outcome, 'not_certified');
});

test('no promise is so near to 1 that its sample is sought for ever', () => {
  for (const share of ['0.9999999999999999', '0.999999999999999', '0.9999999']) {
    for (const what of ['accuracy', 'agreement']) {
      const read = readThresholdSettings({ 'spillway.promise': `${what}=${share}`, 'spillway.labels': 'file-1' });
      assert.equal(read.kind, 'problem', share);
    }
  }
  const aim: Aim = { kind: 'accuracy', accuracy: 1 - 1e-16, certainty: 0.95, otherwise: 'expert' };
  assert.deepEqual(planAim(aim, 1, 500), { kind: 'too_few', needed: null });
});

test('what was found for one cascade holds for a retry only while that is what was sampled', () => {
  const before = rulesInForce({ a: rulesOf(PROMISE) }, { a: calibrate(PROMISE, many(500, drawn(0.9))) });
  const same = takenOver({ a: rulesOf(PROMISE), constructor: rulesOf(PROMISE) }, before);
  assert.deepEqual(same['a']?.certificate, { agreement: 0.95, certainty: 0.95 });
  assert.deepEqual([same['a'] && thresholdsOf(same['a']), same['a']?.aim], [[0], undefined]);
  assert.deepEqual(same['constructor']?.aim, PROMISE);
  const others: CascadeRules[] = [
    { ...rulesOf(PROMISE), stages: [stage('another', 0.9), stage('large', null)] },
    { ...rulesOf(PROMISE), stages: [stage('m0', 0.9), stage('another', null)] },
    { ...rulesOf(PROMISE), agreement: 'exact' },
    rulesOf(PROMISE, 2),
  ];
  for (const other of others) assert.deepEqual(takenOver({ a: other }, before)['a'], other);
});

test('values with thresholds of their own keep them where nothing was found', () => {
  const base = rulesOf(EFFORT);
  const [first, last] = base.stages;
  assert.ok(first?.judge != null && last !== undefined);
  const fields = { '/total': { acceptAt: 0.99 } };
  const rules: CascadeRules = { ...base, stages: [{ ...first, judge: { ...first.judge, fields } }, last] };
  const small = calibrateCascade({ rules, population: 20, drawn: [] });
  assert.deepEqual(rulesInForce({ a: rules }, { a: small })['a']?.stages[0]?.judge?.fields, fields);
  const found = calibrateCascade({ rules, population: 9_500, drawn: many(500, drawn(0.9)) });
  assert.deepEqual(rulesInForce({ a: rules }, { a: found })['a']?.stages[0]?.judge?.fields, {
    '/total': { acceptAt: 0 },
  });
});

test('by labels an accuracy is promised, as far as the expert itself is right', () => {
  const aim: Aim = { kind: 'accuracy', accuracy: 0.9, certainty: 0.95, otherwise: 'expert' };
  const labelled = (confidence: number, draft: boolean, expert: boolean): DrawnDocument => ({
    judged: [{ confidence, agrees: draft === expert, wrongAt: null }],
    delivered: 1,
    right: { expert, drafts: [draft] },
  });
  const good = [...many(300, labelled(0.9, true, true)), ...many(100, labelled(0.4, false, true))];
  const found = calibrate(aim, good);
  assert.deepEqual([found.outcome, found.n], ['certified', 400]);
  assert.ok((found.stages[0]?.acceptAt ?? 0) > 0.4);
  assert.deepEqual(rulesInForce({ a: rulesOf(aim) }, { a: found })['a']?.certificate, {
    accuracy: 0.9,
    certainty: 0.95,
  });
  const weak = calibrate(aim, [...many(300, labelled(0.9, true, true)), ...many(100, labelled(0.9, true, false))]);
  assert.deepEqual([weak.outcome, weak.reason], ['not_certified', 'expert_below_target']);
  const few = calibrate(aim, []);
  assert.deepEqual([few.reason, few.needed], ['too_few_labels', 29]);
  const draws = new DocumentDraws('batch_1', { a: rulesOf(aim) });
  for (let document = 0; document < 1_000; document += 1) draws.add(document, 'a');
  for (let document = 0; document < 1_000; document += 5) draws.addLabelled(document, 'a');
  const { population, documents } = draws.finish()?.['a'] ?? assert.fail();
  assert.deepEqual([population, documents.length], [1_000, 200]);
  assert.ok(documents.every((document) => document % 5 === 0));
});

test('several stages keep the promise together, and one that cannot accepts nothing', () => {
  const rules = rulesOf(PROMISE, 2);
  const two = (first: number, second: number, isRight: boolean): DrawnDocument => ({
    judged: [
      { confidence: first, agrees: true, wrongAt: null },
      { confidence: second, agrees: isRight, wrongAt: null },
    ],
    delivered: 2,
  });
  const all = [...many(400, two(0.9, 0.9, false)), ...many(100, two(0.1, 0.95, true))];
  const found = calibrateCascade({ rules, population: 9_500, drawn: all });
  const [first, second] = found.stages;
  assert.deepEqual([found.outcome, first?.acceptAt, second?.disagreements], ['certified', 0, 0]);
  assert.ok((second?.acceptAt ?? 0) > 0.9);
  const sum = (first?.bound ?? 1) + (second?.bound ?? 1);
  assert.ok(sum <= 0.05 + 1e-9, String(sum));
});

test('where single values may be asked for, a draft is wrong as soon as a wrong value of it is final', () => {
  const unsure = { judged: [{ confidence: 0.2, agrees: false, wrongAt: 0.85 }], delivered: 1 };
  const found = calibrate(PROMISE, [...many(400, drawn(0.9)), ...many(100, unsure)]);
  assert.ok((found.stages[0]?.acceptAt ?? 0) > 0.85);
});

test('a budget is the quantile of the sample: those that cannot be judged go in any case, ties together', () => {
  const budget: Aim = { kind: 'budget', expert_share: 0.25 };
  const scores = Array.from({ length: 1_000 }, (_, at) => drawn((at + 1) / 1_000, true, 0));
  const found = calibrate(budget, scores);
  assert.deepEqual([found.outcome, found.stages, found.expertShare], ['budgeted', [{ acceptAt: 0.251 }], 0.25]);
  const unjudged = calibrate(budget, [...scores.slice(0, 900), ...many(100, drawn(null))]);
  assert.deepEqual([unjudged.stages, unjudged.expertShare], [[{ acceptAt: 0.151 }], 0.25]);
  const ties = calibrate(budget, [...many(500, drawn(0.5, true, 0)), ...many(500, drawn(0.9, true, 0))]);
  assert.deepEqual([ties.stages, ties.expertShare], [[{ acceptAt: 0.5 }], 0]);
  const beyond = calibrate(budget, [...many(500, drawn(null)), ...many(500, drawn(0.9, true, 0))]);
  assert.deepEqual([beyond.stages, beyond.expertShare], [[{ acceptAt: 0 }], 0.5]);
});

test('documents are drawn evenly over the batch, the same ones by whoever draws, by their cascades', () => {
  const rules = { a: rulesOf(PROMISE), b: { ...rulesOf(PROMISE), aim: undefined } };
  const draw = (batch: string) => {
    const draws = new DocumentDraws(batch, rules);
    for (let document = 0; document < 20_000; document += 1) draws.add(document, document % 2 === 0 ? 'a' : 'b');
    return draws.finish() ?? assert.fail();
  };
  const draws = draw('batch_1');
  assert.deepEqual(Object.keys(draws), ['a']);
  assert.equal(draws['a']?.population, 10_000);
  const documents = drawnDocuments(draws);
  assert.ok(documents.length > 300 && documents.length <= 500);
  assert.ok(documents.every((document) => document % 2 === 0));
  const quarters = Map.groupBy(documents, (document) => Math.floor(document / 5_000));
  for (const own of quarters.values()) assert.ok(Math.abs(own.length / documents.length - 0.25) < 0.08);
  assert.deepEqual(drawnDocuments(draw('batch_1')), documents);
  assert.notDeepEqual(drawnDocuments(draw('batch_2')), documents);
  assert.equal(new DocumentDraws('batch_1', { b: rules.b }).finish(), null);
});

test('whatever the sample says, thresholds come of it for each judging stage, and nothing is left to be found', () => {
  const confidence = fc.option(fc.double({ min: 0, max: 1, noNaN: true }));
  const judgement = fc.record({
    confidence,
    agrees: fc.boolean(),
    wrongAt: fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
  });
  const document = fc.record({
    judged: fc.option(fc.array(judgement, { minLength: 2, maxLength: 2 })),
    delivered: fc.option(fc.nat({ max: 2 })),
  });
  const aim: fc.Arbitrary<Aim> = fc.oneof(
    fc.record({
      kind: fc.constant('promise' as const),
      agreement: fc.constantFrom(0.5, 0.9, 0.95, 0.99),
      certainty: fc.constantFrom(0.8, 0.95),
      otherwise: fc.constantFrom('expert' as const, 'best_effort' as const),
    }),
    fc.record({ kind: fc.constant('budget' as const), expert_share: fc.constantFrom(0.1, 0.5) }),
  );
  fc.assert(
    fc.property(aim, fc.array(document, { maxLength: 60 }), (own, all) => {
      const rules = rulesOf(own, 2);
      const found = calibrateCascade({ rules, population: 200, drawn: all });
      assert.equal(found.stages.length, 2);
      const force = rulesInForce({ a: rules }, { a: found });
      assert.equal(awaitsCalibration(force), false);
      assert.ok(found.stages.every(({ acceptAt }) => acceptAt >= 0 && acceptAt <= 2));
    }),
  );
});
