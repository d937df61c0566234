import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FEATURES, headFeatures, type SignalSpec } from '../confidence/index.ts';
import { readCalibration, type CalibrationArtefact, type CalibrationUse } from './artefact.ts';
import { bestCalibration, fitCalibration, fitHead, FITTED, headScore } from './fit.ts';
import { isotonicPoints, poolAdjacent } from './isotonic.ts';
import { fitLogistic } from './logistic.ts';
import {
  areaUnderDeferral,
  areaUnderRoc,
  bootstrapInterval,
  brierScore,
  calibrationError,
  cascadeAt,
  deferralCurve,
  deferralOf,
  oracleCurve,
  seededRandom,
  thresholdFor,
  type JudgedDocument,
} from './measures.ts';
import { calibrated, sigmoid, transformed, type CalibrationMethod } from './method.ts';
import { serverDigest } from './server.ts';

const MEAN: SignalSpec = { name: 'mean_logprob' };
const MARGIN: SignalSpec = { name: 'margin', over: 'min' };

const SCORES = [-3, -2.2, -1.5, -1.1, -0.8, -0.6, -0.4, -0.3, -0.2, -0.1, -0.05, -0.01];
const RIGHT = [0, 0, 1, 0, 0, 1, 0, 1, 1, 1, 1, 1];
const LABELS = SCORES.map((score, at) => ({ score, right: RIGHT[at] === 1 }));

const near = (found: number | undefined, wanted: number, within = 1e-6): void =>
  assert.ok(found !== undefined && Math.abs(found - wanted) <= within, `${found} for ${wanted}`);

test('the transform that Platt is fitted on: spread near 1, odd around a half', () => {
  near(transformed(MEAN, Math.log(0.5)), 0);
  near(transformed(MEAN, Math.log(0.9)), -Math.LN2 - Math.log(0.1));
  near(transformed(MEAN, Math.log(0.1)), Math.LN2 + Math.log(0.1));
  assert.equal(transformed(MARGIN, 3.5), 3.5, 'a score that is no probability stays');
  assert.ok(Number.isFinite(transformed(MEAN, 0)) && Number.isFinite(transformed(MEAN, -9999)));
});

// Computed by numpy: Newton's method in double precision on the same targets and penalties.
test('fits agree with independently computed ones', () => {
  const platt = fitCalibration(MEAN, 'platt', LABELS);
  assert.ok(platt.method === 'platt');
  near(platt.a, 0.78777647);
  near(platt.b, 0.12889243);
  const beta = fitCalibration(MEAN, 'beta', LABELS);
  assert.ok(beta.method === 'beta');
  near(beta.a, 0.56364919);
  near(beta.b, 0.62545474);
  near(beta.c, 0.07009887);
  const rows = LABELS.map(({ score, right }) => ({ x: [score, score ** 2], right }));
  const ridge = fitLogistic(rows, { penalty: 0.5 });
  near(ridge.weights[0], 0.5921928682);
  near(ridge.weights[1], -0.1525228039);
  near(ridge.bias, 1.0365503663);
});

test("two groups of equal scores: the sigmoid meets each group's share of Platt's targets (closed form)", () => {
  const group = (score: number, right: number, wrong: number) => [
    ...Array.from({ length: right }, () => ({ score, right: true })),
    ...Array.from({ length: wrong }, () => ({ score, right: false })),
  ];
  const calibration = fitCalibration(MARGIN, 'platt', [...group(1, 30, 70), ...group(3, 80, 20)]);
  const [high, low] = [111 / 112, 1 / 92];
  near(calibrated({ signal: MARGIN, calibration }, 1) ?? undefined, 0.3 * high + 0.7 * low, 1e-5);
  near(calibrated({ signal: MARGIN, calibration }, 3) ?? undefined, 0.8 * high + 0.2 * low, 1e-5);
});

test('a score that points the wrong way is given no say, and one class alone stays finite', () => {
  const turned = fitCalibration(
    MARGIN,
    'platt',
    LABELS.map(({ score, right }) => ({ score: -score, right })),
  );
  assert.ok(turned.method === 'platt' && turned.a === 0);
  const one = fitCalibration(
    MARGIN,
    'platt',
    LABELS.map(({ score }) => ({ score, right: true })),
  );
  const confidence = calibrated({ signal: MARGIN, calibration: one }, 0) ?? Number.NaN;
  assert.ok(confidence > 0.9 && confidence < 1, `${confidence}`);
});

test('adjacent violators are pooled, equal scores are one point', () => {
  const values = (scores: readonly number[], right: readonly number[]) =>
    poolAdjacent(scores.map((score, at) => ({ score, right: right[at] === 1 }))).map(
      (block) => block.right / block.count,
    );
  assert.deepEqual(values([1, 2, 3, 4], [0, 1, 0, 1]), [0, 0.5, 1]);
  assert.deepEqual(values([1, 2, 3, 4], [1, 1, 0, 0]), [0.5]);
  assert.deepEqual(values([1, 1, 1, 2], [0, 1, 1, 1]), [2 / 3, 1]);
});

const label = fc.record({ score: fc.double({ min: -20, max: 0, noNaN: true }), right: fc.boolean() });
const labels = fc.array(label, { minLength: 1, maxLength: 60 });

test('every calibration is a rising curve of probabilities, whatever it was fitted on', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(MEAN, MARGIN),
      fc.constantFrom(...FITTED),
      labels,
      fc.array(fc.double({ min: -30, max: 0, noNaN: true })),
      (signal, method, given, scores) => {
        if (signal === MARGIN && (method === 'beta' || method === 'identity')) return;
        const calibration = fitCalibration(signal, method, given);
        const sorted = [...scores].sort((left, right) => left - right);
        let last = 0;
        for (const score of sorted) {
          const confidence = calibrated({ signal, calibration }, score) ?? Number.NaN;
          assert.ok(
            confidence >= last - 1e-12 && confidence <= 1,
            `${method} of ${score}: ${confidence} after ${last}`,
          );
          last = confidence;
        }
      },
    ),
  );
});

test('a step function has as many points as are allowed, and rises', () => {
  fc.assert(
    fc.property(fc.array(label, { minLength: 1, maxLength: 400 }), (given) => {
      const { scores, values } = isotonicPoints(given);
      assert.ok(scores.length <= 64 && scores.length === values.length);
      assert.deepEqual(
        scores,
        scores.toSorted((left, right) => left - right),
      );
      assert.deepEqual(
        values,
        values.toSorted((left, right) => left - right),
      );
    }),
  );
});

test('the best method is chosen by labels that it has not seen', () => {
  const random = seededRandom(3);
  const drawn = (share: (score: number) => number, count: number) =>
    Array.from({ length: count }, () => {
      const score = 10 * random();
      return { score, right: random() < share(score) };
    });
  assert.equal(
    bestCalibration(
      MARGIN,
      drawn((score) => sigmoid(score - 5), 2_000),
    ).method,
    'platt',
  );
  assert.equal(
    bestCalibration(
      MARGIN,
      drawn((score) => (score < 3 ? 0.1 : score < 9 ? 0.5 : 0.99), 2_000),
    ).method,
    'isotonic',
  );
  assert.equal(
    bestCalibration(
      MARGIN,
      drawn((score) => (score < 3 ? 0.1 : 0.9), 100),
    ).method,
    'platt',
    'too few labels for steps',
  );
});

test('the head learns what tells right from wrong, and ignores what never changes', () => {
  const random = seededRandom(7);
  const rows = Array.from({ length: 600 }, () => {
    const logprobs = Array.from({ length: 5 }, () => -2 * random());
    const tokens = logprobs.map((logprob) => ({ token: 'a', bytes: null, logprob, top: [] }));
    return { x: headFeatures(null, tokens), right: Math.min(...logprobs) > -1.2 };
  });
  const head = fitHead(rows);
  assert.ok(head.method === 'head' && head.weights.length === FEATURES.length);
  assert.equal(head.weights[FEATURES.indexOf('margin_mean')], 0, 'there are no alternatives');
  const judged = rows.map(({ x, right }) => ({
    confidence: calibrated({ signal: { name: 'head' }, calibration: head }, headScore(head, x)) ?? 0,
    drafterRight: right,
  }));
  assert.ok((areaUnderRoc(judged) ?? 0) > 0.97);
  assert.ok(calibrationError(judged) < 0.08);
});

const row = (confidence: number, drafterRight: boolean, expertRight = true): JudgedDocument => ({
  confidence,
  drafterRight,
  expertRight,
});

test('measures, by hand', () => {
  const rows = [row(0.9, true), row(0.8, false), row(0.6, true), row(0.2, false)];
  assert.equal(areaUnderRoc(rows), 0.75);
  assert.equal(areaUnderRoc([row(0.5, true), row(0.5, false)]), 0.5);
  assert.equal(areaUnderRoc([row(0.5, true)]), null);
  near(brierScore(rows), (0.01 + 0.64 + 0.16 + 0.04) / 4);
  near(calibrationError(rows, 2), (Math.abs(0.8 - 1) + Math.abs(1.7 - 1)) / 4);
  assert.deepEqual(deferralCurve(rows), [
    { escalated: 0, accuracy: 0.5 },
    { escalated: 0.25, accuracy: 0.75 },
    { escalated: 0.5, accuracy: 0.75 },
    { escalated: 0.75, accuracy: 1 },
    { escalated: 1, accuracy: 1 },
  ]);
  near(areaUnderDeferral(deferralCurve(rows)), 0.8125);
  near(areaUnderDeferral(oracleCurve(rows)), 0.875);
  near(deferralOf(rows).gain ?? undefined, (0.8125 - 0.75) / (0.875 - 0.75));
  assert.deepEqual(cascadeAt(rows, 0.6), { escalated: 0.25, accuracy: 0.75 });
  assert.equal(thresholdFor(rows, 0.5), 0.8);
});

test('drawing at random gains nothing, knowing beforehand everything; ties are as drawn at random', () => {
  const rows = [row(0.5, true), row(0.5, false), row(0.5, true), row(0.5, false, false)];
  near(deferralOf(rows).gain ?? undefined, 0);
  const known = rows.map((one) => ({ ...one, confidence: Number(one.drafterRight) - Number(one.expertRight) }));
  near(deferralOf(known).gain ?? undefined, 1);
  assert.equal(deferralOf([row(0.1, true), row(0.9, true)]).gain, null, 'there is nothing to gain');
  // An expert that spoils a right draft is asked last by whoever knows.
  assert.ok(areaUnderDeferral(oracleCurve([row(0.1, true, false), row(0.9, false)])) > 0.5);
});

test('a bootstrap interval holds the measure, and is the same for the same seed', () => {
  const rows = Array.from({ length: 300 }, (_, at) => row((at % 100) / 100, at % 3 !== 0));
  const interval = () => bootstrapInterval(rows, areaUnderRoc, { random: seededRandom(5) });
  const [low, high] = interval() ?? [Number.NaN, Number.NaN];
  const measured = areaUnderRoc(rows) ?? Number.NaN;
  assert.ok(low < measured && measured < high && high - low < 0.2);
  assert.deepEqual(interval(), [low, high]);
  assert.equal(bootstrapInterval([row(1, true)], areaUnderRoc, { random: seededRandom(1) }), null);
});

const artefact = {
  kind: 'spillway.calibration',
  v: 2,
  cascade: 'invoices',
  stage: 1,
  ask: 'answer',
  accept_before: [],
  model: 'qwen3-4b',
  signal: MARGIN,
  calibration: { method: 'platt', a: 1, b: 0 } satisfies CalibrationMethod,
  labels: 500,
  right: 400,
  createdAt: '2026-11-23T00:00:00Z',
  measured: { ece: 0.02, brier: 0.1, auroc: 0.9 },
};

const use: CalibrationUse = {
  cascade: 'invoices',
  stage: 1,
  ask: 'answer',
  model: 'qwen3-4b',
  server: serverDigest('http://drafter:8000/v1'),
  signal: MARGIN,
};

test('a calibration made for something else, or damaged, is refused with its reason', () => {
  const read = (value: unknown, wanted: CalibrationUse = use) =>
    readCalibration(typeof value === 'string' ? value : JSON.stringify(value), wanted);
  assert.equal(read(artefact).kind, 'valid');
  const problems = (...args: Parameters<typeof read>): string => {
    const found = read(...args);
    return found.kind === 'invalid' ? found.problems.join('; ') : '';
  };
  assert.match(problems(artefact, { ...use, cascade: 'letters' }), /made for the cascade invoices, not for letters/);
  assert.match(problems(artefact, { ...use, stage: 2 }), /made for the stage 1, not for 2/);
  assert.match(problems(artefact, { ...use, model: 'other' }), /made for the drafter qwen3-4b, not for other/);
  assert.match(problems(artefact, { ...use, signal: { name: 'margin', over: 'mean' } }), /made for the signal/);
  assert.match(problems({ ...artefact, calibration: { method: 'platt', a: -1, b: 0 } }), /calibration\.a/);
  assert.equal(problems({ ...artefact, v: 1 }), 'made by an older Spillway: calibrate again');
  assert.match(problems({ ...artefact, v: 3 }), /^v: /);
  assert.match(problems('{'), /expected JSON/);
  const head = { method: 'head', features: 1, weights: FEATURES.map(() => 0), bias: 0, curve: null };
  assert.match(problems({ ...artefact, calibration: head }), /go together/);
  const falling = { method: 'isotonic', curve: { scores: [0, 1], values: [0.9, 0.1] } };
  assert.match(problems({ ...artefact, calibration: falling }), /rise/);
});

test('a model server is known by where its address leads, and nothing else of it shows', () => {
  const own = serverDigest('https://models.example/v1');
  assert.match(own, /^[0-9a-f]{12}$/);
  for (const same of [
    'https://models.example/v1/',
    'https://MODELS.example:443/v1',
    'https://user:secret@models.example/v1',
    'https://models.example/v1?key=secret#there',
  ]) {
    assert.equal(serverDigest(same), own, same);
  }
  for (const other of [
    'http://models.example/v1',
    'https://models.example:8443/v1',
    'https://models.example/small/v1',
  ]) {
    assert.notEqual(serverDigest(other), own, other);
  }
});

test('another model server than a calibration was made with is told, and refuses nothing', () => {
  const warningsOf = (madeWith?: unknown): readonly string[] => {
    const read = readCalibration(JSON.stringify({ ...artefact, made_with: madeWith }), use);
    assert.ok(read.kind === 'valid', JSON.stringify(read));
    assert.deepEqual(read.artefact.made_with, madeWith);
    return read.warnings;
  };
  const formats: NonNullable<CalibrationArtefact['made_with']>['formats'] = ['json_schema', 'text'];
  assert.deepEqual(warningsOf(), [], 'it was made before this was written down');
  assert.deepEqual(warningsOf({ server: use.server, formats }), []);
  assert.deepEqual(warningsOf({ server: use.server, formats: null }), []);
  const other = serverDigest('http://drafter:8001/v1');
  const [warning = '', ...more] = warningsOf({ server: other, formats });
  assert.deepEqual(more, []);
  assert.ok(warning.startsWith(`made with the model server ${other}, and ${use.server} is configured now`), warning);
  assert.match(warning, /: calibrate again$/);
  for (const wrong of [{ server: other }, { server: other, formats: [] }, { server: other, formats: ['xml'] }]) {
    const text = JSON.stringify({ ...artefact, made_with: wrong });
    assert.equal(readCalibration(text, use).kind, 'invalid', text);
  }
});
