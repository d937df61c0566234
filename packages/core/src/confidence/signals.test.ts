import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fitHead, headScore } from '../calibration/index.ts';
import type { Completion } from '../endpoints/completion.ts';
import {
  evidenceOf as evidencing,
  FEATURES,
  headFeatures,
  judge as judging,
  leastSure,
  sameSignal,
  scoreDraft as scoring,
  SHADOW_SIGNALS,
  SIGNALS,
  signalSpec,
  type ConfidenceRule,
  type Evidence,
  type SignalName,
  type SignalSpec,
} from './index.ts';
import { runAtOnce } from '../text/slices.ts';

const evidenceOf = (evidence: Evidence) => runAtOnce(evidencing(evidence));
const judge = (evidence: Evidence, rule: ConfidenceRule) => runAtOnce(judging(evidence, rule));
const scoreDraft = (evidence: Evidence, rule: ConfidenceRule) => runAtOnce(scoring(evidence, rule));

const NAMES = Object.keys(SIGNALS) as SignalName[];

/** What each signal is when only its name is given; `label` cannot do without its answers. */
const specOf = (name: SignalName): SignalSpec =>
  signalSpec.parse(name === 'label' ? { name, answers: ['a', 'b'] } : { name });

function draftOf(logprobs: readonly number[] | null, text = 'aa'): Evidence {
  const completion: Completion = {
    text,
    finishReason: 'stop',
    refusal: null,
    toolCall: false,
    tokens: logprobs?.map((logprob) => ({ token: 'a', bytes: null, logprob, top: [] })) ?? null,
    choices: 1,
    model: null,
    id: null,
    usage: { inputTokens: 0, cachedTokens: 0, outputTokens: 0, reasoningTokens: 0 },
  };
  return { completion, endpoint: '/v1/chat/completions', request: {} };
}

test('an entry is known by its own name, and says what it means in a sentence', () => {
  for (const name of NAMES) {
    assert.equal(specOf(name).name, name);
    assert.deepEqual(SIGNALS[name].spec.shape.name.values, new Set([name]));
    assert.match(SIGNALS[name].meaning, /^[A-Z].*\.$/);
  }
  assert.equal(signalSpec.safeParse({ name: 'nothing' }).success, false);
  assert.equal(signalSpec.safeParse({ name: 'entropy', alpha: 1 }).success, false);
});

test('each says whether it scores the values of a JSON answer one by one', () => {
  const text = '{"a": 1}';
  const { completion, ...evidence } = draftOf(null, text);
  const tokens = text.split('').map((token) => {
    const top = ['1', '2'].map((other, at) => ({ token: other, bytes: null, logprob: -0.1 - at }));
    return { token, bytes: null, logprob: -0.1, top };
  });
  for (const name of NAMES) {
    const scored = scoreDraft(
      { ...evidence, completion: { ...completion, tokens }, samples: [{ ...completion, tokens }] },
      { signal: specOf(name), calibration: null },
    );
    const isEach = scored.kind === 'scored' && scored.fields !== null;
    assert.equal(isEach, SIGNALS[name].scoresValues, name);
  }
});

test('parameters that are not given are as the design says', () => {
  assert.deepEqual(specOf('quantile_logprob'), { name: 'quantile_logprob', alpha: 0.1 });
  assert.deepEqual(specOf('margin'), { name: 'margin', over: 'min' });
  assert.deepEqual(specOf('agreement'), { name: 'agreement', samples: 5, temperature: 0.7 });
  assert.equal(signalSpec.safeParse({ name: 'label' }).success, false);
});

test('a signal is the same whatever the order of its parameters, and another with others', () => {
  const agreement: SignalSpec = { name: 'agreement', samples: 3, temperature: 1 };
  assert.ok(sameSignal(agreement, { temperature: 1, samples: 3, name: 'agreement' }));
  assert.ok(!sameSignal(agreement, { ...agreement, samples: 4 }));
});

test('what may not be judged has no score by any signal, and what lacks evidence says which', () => {
  for (const name of NAMES) {
    const rule = { signal: specOf(name), calibration: null };
    const { completion } = draftOf([-0.1]);
    const cut = { ...draftOf([-0.1]), completion: { ...completion, finishReason: 'length' } };
    assert.deepEqual(scoreDraft(cut, rule), { kind: 'no_evidence', reason: 'truncated' }, name);
    const lacking = scoreDraft(draftOf(null), rule);
    const wanted = { nothing: 'no_logprobs', assessment: 'no_assessment', samples: 'no_samples' };
    assert.deepEqual(lacking, { kind: 'no_evidence', reason: wanted[SIGNALS[name].needs] }, name);
  }
});

test('the head scores by its weights, and by nothing without them', () => {
  const rows = Array.from({ length: 200 }, (_, at) => ({
    x: headFeatures(null, draftOf([-(at % 10) / 10 - 0.01]).completion.tokens ?? []),
    right: at % 10 < 5,
  }));
  const calibration = fitHead(rows);
  const rule = { signal: { name: 'head' }, calibration } as const;
  const [sure, unsure] = [judge(draftOf([-0.1]), rule), judge(draftOf([-0.9]), rule)];
  assert.ok(sure.kind === 'scored' && unsure.kind === 'scored' && sure.confidence > unsure.confidence);
  assert.equal(sure.score, headScore(calibration, headFeatures(null, draftOf([-0.1]).completion.tokens ?? [])));
  assert.deepEqual(judge(draftOf([-0.1]), { ...rule, calibration: null }), {
    kind: 'no_evidence',
    reason: 'no_logprobs',
  });
});

test('a shadow run records every signal over tokens by its own words, and what the head would look at', () => {
  for (const signal of SHADOW_SIGNALS) {
    assert.deepEqual(signalSpec.parse(signal), signal);
    assert.equal(SIGNALS[signal.name].needs, 'nothing');
  }
  const { scores, features } = evidenceOf(draftOf([-0.25, -0.75]));
  assert.deepEqual(
    Object.keys(scores),
    SHADOW_SIGNALS.map((signal) => JSON.stringify(signal)),
  );
  assert.equal(scores['{"name":"sum_logprob"}'], -1);
  assert.equal(scores['{"name":"entropy"}'], null);
  assert.equal(features?.length, FEATURES.length);
  const nothing = evidenceOf(draftOf(null));
  assert.ok(Object.values(nothing.scores).every((score) => score === null));
  assert.equal(nothing.features, null);
});

test('the values shown are the least sure ones, least sure first, and never more than sixteen', () => {
  const field = fc.record({ path: fc.string(), score: fc.double({ noNaN: true, min: -100, max: 0 }) });
  fc.assert(
    fc.property(fc.array(field), (fields) => {
      const shown = leastSure(fields) ?? [];
      assert.equal(shown.length, Math.min(16, fields.length));
      const scores = fields.map(({ score }) => Number(score.toPrecision(6))).toSorted((left, right) => left - right);
      assert.deepEqual(
        shown.map(({ score }) => score),
        scores.slice(0, 16),
      );
    }),
  );
  assert.equal(leastSure(null), null);
});
