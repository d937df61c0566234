import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Completion, TokenLogprob } from '../endpoints/completion.ts';
import { calibrated } from '../calibration/index.ts';
import { runAtOnce } from '../text/slices.ts';
import { ESCALATION_REASONS, scoreDraft, type ConfidenceRule, type Evidence, type SignalSpec } from './index.ts';
import type { JsonObject } from '../text/json.ts';

/** The signals over tokens that need neither alternatives nor a calibration. */
const PLAIN: SignalSpec[] = [
  { name: 'mean_logprob' },
  { name: 'min_logprob' },
  { name: 'sum_logprob' },
  { name: 'quantile_logprob', alpha: 0.2 },
];

const confidenceOf = (signal: SignalSpec, score: number): number =>
  calibrated({ signal, calibration: null }, score) ?? Number.NaN;

function draftOf(logprobs: readonly number[] | null, more: Partial<Completion> = {}): Completion {
  return {
    text: 'an answer',
    finishReason: 'stop',
    refusal: null,
    toolCall: false,
    tokens: logprobs === null ? null : logprobs.map((logprob) => ({ token: 'a', bytes: null, logprob, top: [] })),
    choices: 1,
    model: null,
    id: null,
    usage: { inputTokens: 0, cachedTokens: 0, outputTokens: 0, reasoningTokens: 0 },
    ...more,
  };
}

const scoreNow = (evidence: Evidence, rule: ConfidenceRule) => runAtOnce(scoreDraft(evidence, rule));

function judge(draft: Completion, request: JsonObject = {}, signal: SignalSpec = { name: 'mean_logprob' }) {
  const evidence = { completion: draft, endpoint: '/v1/chat/completions', request } as const;
  return scoreNow(evidence, { signal, calibration: null });
}

/** The score, when there is one. */
function scoreOf(draft: Completion, signal: SignalSpec): number | null {
  const scored = judge(draft, {}, signal);
  return scored.kind === 'scored' ? scored.score : null;
}

function reasonOf(draft: Completion, request: JsonObject = {}): string | null {
  const scored = judge(draft, request);
  return scored.kind === 'no_evidence' ? scored.reason : null;
}

const schemaOf = (schema: JsonObject): JsonObject => ({
  response_format: { type: 'json_schema', json_schema: { name: 'invoice', schema } },
});

test('scores by mean, weakest token and sum', () => {
  const draft = draftOf([-0.25, -1, -0.25]);
  assert.equal(scoreOf(draft, { name: 'mean_logprob' }), -0.5);
  assert.equal(scoreOf(draft, { name: 'min_logprob' }), -1);
  assert.equal(scoreOf(draft, { name: 'sum_logprob' }), -1.5);
  assert.equal(scoreOf(draft, { name: 'quantile_logprob', alpha: 0 }), -1);
  assert.equal(scoreOf(draft, { name: 'quantile_logprob', alpha: 0.25 }), -0.625);
  assert.equal(confidenceOf({ name: 'mean_logprob' }, -0.5), Math.exp(-0.5));
});

test('what cannot be judged has a reason and no score', () => {
  const sure = [-0.01, -0.01];
  assert.equal(reasonOf(draftOf(null)), 'no_logprobs');
  assert.equal(reasonOf(draftOf([])), 'no_logprobs');
  assert.equal(reasonOf(draftOf([0, -0, 0])), 'zero_logprobs');
  assert.equal(reasonOf(draftOf(sure, { toolCall: true })), 'tool_call');
  assert.equal(reasonOf(draftOf(sure, { finishReason: 'length' })), 'truncated');
  assert.equal(reasonOf(draftOf(sure, { finishReason: 'content_filter' })), 'content_filter');
  assert.equal(reasonOf(draftOf(sure, { refusal: 'no' })), 'refused');
  assert.equal(reasonOf(draftOf(sure, { text: null })), 'empty_answer');
  assert.equal(reasonOf(draftOf(sure, { text: ' \n' })), 'empty_answer');
  assert.equal(reasonOf(draftOf(sure, { choices: 2 })), 'several_choices');
  assert.equal(reasonOf(draftOf(sure), { n: 2 }), 'several_choices');
  assert.equal(reasonOf(draftOf([Number.NaN])), 'no_logprobs');
  assert.equal(reasonOf(draftOf(sure), { n: 1 }), null);
});

test('an answer that had to be JSON and is not has no evidence', () => {
  const asked = { response_format: { type: 'json_object' } };
  const deep = `{"a":${'['.repeat(50_000)}${']'.repeat(50_000)}}`;
  assert.equal(reasonOf(draftOf([-0.1], { text: deep }), asked), 'too_large');
  for (const text of ['{"total": 10.', '[1]', '"x"', '```json\n{}\n```', 'null']) {
    assert.equal(reasonOf(draftOf([-0.1], { text }), asked), 'invalid_json', text.slice(0, 20));
  }
  assert.equal(reasonOf(draftOf([-0.1], { text: ' {"total": 10.15}\n' }), asked), null);
  assert.equal(reasonOf(draftOf([-0.1]), { response_format: { type: 'text' } }), null);
});

test('an answer that visibly misses its schema has no evidence', () => {
  const asked = schemaOf({
    type: 'object',
    required: ['total'],
    properties: {
      total: { type: 'number' },
      currency: { enum: ['EUR', 'GBP'] },
      lines: { type: 'array', items: { type: 'object', required: ['net'] } },
      note: { type: ['string', 'null'] },
    },
    additionalProperties: false,
  });
  const reason = (text: string) => reasonOf(draftOf([-0.1], { text }), asked);
  const bad = [
    '{',
    '[]',
    '{}',
    '{"total":"1"}',
    '{"total":1,"currency":"USD"}',
    '{"total":1,"x":1}',
    '{"total":1,"lines":[{}]}',
    '{"total":1,"note":2}',
  ];
  for (const text of bad) assert.equal(reason(text), 'invalid_json', text);
  for (const text of ['{"total":1}', '{"total":1,"note":null,"currency":"EUR","lines":[{"net":1}]}']) {
    assert.equal(reason(text), null, text);
  }
});

test('a schema that is not understood refuses nothing', () => {
  const reason = (schema: JsonObject) => reasonOf(draftOf([-0.1], { text: '{"a":1}' }), schemaOf(schema));
  for (const schema of [
    {},
    { $ref: '#/x' },
    { type: 'whatever' },
    { type: [] },
    { required: 'a' },
    { properties: null },
  ]) {
    assert.equal(reason(schema), null, JSON.stringify(schema));
  }
  assert.equal(reasonOf(draftOf([-0.1], { text: '1' }), { response_format: { type: 'json_schema' } }), null);
});

test('every reason is explained once, in a sentence', () => {
  assert.equal(new Set(ESCALATION_REASONS.map((one) => one.reason)).size, ESCALATION_REASONS.length);
  for (const { meaning } of ESCALATION_REASONS) assert.match(meaning, /^[A-Z].*\.$/);
});

const anyLogprob = fc.double({ min: -9999, max: 0, noNaN: true });

test('a score is a number, and its confidence a probability', () => {
  fc.assert(
    fc.property(fc.constantFrom(...PLAIN), fc.array(fc.double()), fc.jsonValue(), (signal, values, format) => {
      const scored = judge(draftOf(values), { response_format: format as JsonObject }, signal);
      if (scored.kind === 'no_evidence') return;
      assert.ok(values.length > 0 && Number.isFinite(scored.score));
      const confidence = confidenceOf(signal, scored.score);
      assert.ok(confidence >= 0 && confidence <= 1);
    }),
  );
});

test('a token that is less sure never makes a draft surer', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...PLAIN),
      fc.array(anyLogprob, { minLength: 1 }),
      fc.nat(),
      fc.double({ min: 0, max: 100, noNaN: true }),
      (signal, values, at, less) => {
        const weaker = values.with(at % values.length, (values[at % values.length] ?? 0) - less);
        const [before, after] = [judge(draftOf(values), {}, signal), judge(draftOf(weaker), {}, signal)];
        if (before.kind === 'no_evidence' || after.kind === 'no_evidence') return;
        assert.ok(after.score <= before.score);
        assert.ok(confidenceOf(signal, after.score) <= confidenceOf(signal, before.score));
      },
    ),
  );
});

test('a confidence is a probability whatever the score', () => {
  fc.assert(
    fc.property(fc.constantFrom(...PLAIN), fc.double(), (signal, score) => {
      const confidence = confidenceOf(signal, score);
      assert.ok(confidence >= 0 && confidence <= 1);
    }),
  );
  assert.equal(confidenceOf({ name: 'mean_logprob' }, Number.NaN), 0);
});

type Alternative = readonly [token: string, probability: number];

/** A token with the alternatives that the server lists; the first is the chosen one. */
const token = (alternatives: readonly Alternative[], chosen = alternatives[0]?.[0] ?? ''): TokenLogprob => {
  const top = alternatives.map(([text, probability]) => ({ token: text, logprob: Math.log(probability) }));
  const logprob = top.find((one) => one.token === chosen)?.logprob ?? Math.log(1e-4);
  return { token: chosen, bytes: [...Buffer.from(chosen)], logprob, top };
};

const answer = (tokens: readonly TokenLogprob[]): Completion =>
  draftOf(null, { text: tokens.map((one) => one.token).join(''), tokens });

const near = (found: number | null, wanted: number): void =>
  assert.ok(found !== null && Math.abs(found - wanted) < 1e-9, `${found} for ${wanted}`);

test('margin: log q1 − log q2, where only one is listed against what is left over, over all tokens or the weakest', () => {
  const tokens = [
    token([
      ['a', 0.8],
      ['b', 0.1],
    ]),
    token([['c', 0.9]]),
  ];
  near(scoreOf(answer(tokens), { name: 'margin', over: 'mean' }), (Math.log(8) + Math.log(9)) / 2);
  near(scoreOf(answer(tokens), { name: 'margin', over: 'min' }), Math.log(8));
  const absent = token(
    [
      ['b', 0.6],
      ['c', 0.3],
    ],
    'a',
  );
  near(scoreOf(answer([absent]), { name: 'margin', over: 'min' }), Math.log(2));
  assert.deepEqual(judge(draftOf([-0.1]), {}, { name: 'margin', over: 'min' }), {
    kind: 'no_evidence',
    reason: 'no_alternatives',
  });
});

test('entropy: what is not listed is one more possibility', () => {
  const h = -(0.5 * Math.log(0.5) + 0.25 * Math.log(0.25) + 0.25 * Math.log(0.25));
  near(
    scoreOf(
      answer([
        token([
          ['a', 0.5],
          ['b', 0.25],
        ]),
      ]),
      { name: 'entropy' },
    ),
    -h,
  );
  near(
    scoreOf(
      answer([
        token([['a', 1]]),
        token([
          ['b', 0.5],
          ['c', 0.5],
        ]),
      ]),
      { name: 'entropy' },
    ),
    -Math.log(2) / 2,
  );
  assert.deepEqual(judge(draftOf([-0.1]), {}, { name: 'entropy' }), { kind: 'no_evidence', reason: 'no_alternatives' });
});

test('label: all ways to write each answer count, among the answers that are allowed', () => {
  const signal = { name: 'label', answers: ['True', 'False', 'Unsure'] } as const satisfies {
    name: 'label';
    answers: string[];
  };
  const label = (draft: Completion) => scoreOf(draft, { ...signal, answers: [...signal.answers] });
  near(
    label(
      answer([
        token([
          ['True', 0.4],
          [' True', 0.2],
          ['true', 0.1],
          ['False', 0.1],
          ['The', 0.2],
        ]),
      ]),
    ),
    0.7 / 0.8,
  );
  const apart = [
    token([
      ['Un', 0.6],
      ['True', 0.3],
    ]),
    token([
      ['sure', 0.99],
      ['certain', 0.01],
    ]),
    token([['.', 1]]),
  ];
  near(label(answer(apart)), 0.6 / 0.9);
  const named = { name: 'label', answers: ['true', 'false'] } satisfies SignalSpec;
  assert.deepEqual(judge(answer([token([['Maybe', 0.9]])]), {}, named), { kind: 'no_evidence', reason: 'no_label' });
  const plain = { token: 'true', bytes: null, logprob: -0.1, top: [] };
  assert.deepEqual(judge(draftOf(null, { text: 'true', tokens: [plain] }), {}, named), {
    kind: 'no_evidence',
    reason: 'no_alternatives',
  });
});

test('self-assessment: p(Y) among p(Y) and p(N), each in all its spellings', () => {
  const draft = draftOf([-0.1]);
  const assessed = (assessment: Completion | null) => {
    const evidence = { completion: draft, endpoint: '/v1/chat/completions', request: {}, assessment } as const;
    const scored = scoreNow(evidence, { signal: { name: 'self_assessment' }, calibration: null });
    return scored.kind === 'scored' ? scored.score : scored.reason;
  };
  near(
    assessed(
      answer([
        token([
          ['Y', 0.5],
          [' yes', 0.2],
          ['N', 0.1],
          ['The', 0.2],
        ]),
      ]),
    ) as number,
    0.7 / 0.8,
  );
  near(assessed(answer([token([['N', 0.9]])])) as number, 0.1);
  near(assessed(answer([token([['Y', 0.75]])])) as number, 0.75);
  assert.equal(assessed(answer([token([['Well', 0.9]])])), 'no_assessment');
  assert.equal(assessed(null), 'no_assessment');
});

test('agreement: the share of all answers that say the same, JSON by its value', () => {
  const evidence = (text: string, others: readonly string[] | null) =>
    scoreNow(
      {
        completion: draftOf(null, { text }),
        endpoint: '/v1/chat/completions',
        request: {},
        samples: others?.map((other) => draftOf(null, { text: other })) ?? null,
      },
      { signal: { name: 'agreement', samples: 4, temperature: 1 }, calibration: null },
    );
  const scored = (score: number) => ({ kind: 'scored', score, fields: null });
  assert.deepEqual(evidence('{"a":1,"b":2}', ['{ "b": 2, "a": 1 }', '{"a":1}', 'x']), scored(0.5));
  assert.deepEqual(evidence('Paris.', ['paris', ' PARIS ', 'London']), scored(0.75));
  assert.deepEqual(evidence('Paris', null), { kind: 'no_evidence', reason: 'no_samples' });
});

test("of a JSON answer only the tokens of values count, each field has its score, the least is the answer's", () => {
  const pieces: [string, number][] = [
    ['{"', -3],
    ['total', -3],
    ['": ', -3],
    ['10', -0.2],
    ['.5', -0.4],
    [', "n', -3],
    ['ote": "', -3],
    ['é', -0.1],
    ['ls', -0.7],
    ['"}', -3],
  ];
  const tokens = pieces.map(([text, logprob]) => ({ token: text, bytes: [...Buffer.from(text)], logprob, top: [] }));
  const scored = judge(answer(tokens), {}, { name: 'min_logprob' });
  assert.deepEqual(scored, {
    kind: 'scored',
    score: -0.7,
    fields: [
      { path: '/total', score: -0.4 },
      { path: '/note', score: -0.7 },
    ],
  });
  near(scoreOf(answer(tokens), { name: 'sum_logprob' }), -0.8);
});

test('a UTF-8 character that is split over tokens belongs to its value all the same', () => {
  const bytes = [...Buffer.from('{"a":"é"}')];
  const cuts = [
    [0, 6, -5],
    [6, 7, -0.3],
    [7, 8, -0.9],
    [8, 10, -5],
  ] as const;
  const tokens = cuts.map(([from, to, logprob]) => ({ token: '�', bytes: bytes.slice(from, to), logprob, top: [] }));
  near(scoreOf(draftOf(null, { text: '{"a":"é"}', tokens }), { name: 'min_logprob' }), -0.9);
});

const anyToken = fc.record({
  token: fc.string(),
  bytes: fc.option(fc.array(fc.nat(255), { maxLength: 4 })),
  logprob: fc.double({ max: 0, noNaN: true }),
  top: fc.array(fc.record({ token: fc.string(), logprob: fc.double({ max: 0, noNaN: true }) }), { maxLength: 4 }),
});

test('whatever tokens come with whatever text: never a throw, and every confidence is a probability', () => {
  const signals: SignalSpec[] = [
    ...PLAIN,
    { name: 'margin', over: 'mean' },
    { name: 'entropy' },
    { name: 'label', answers: ['a', 'b'] },
    { name: 'self_assessment' },
    { name: 'agreement', samples: 2, temperature: 1 },
  ];
  const text = fc.oneof(fc.string(), fc.json(), fc.constantFrom('a', 'b'));
  fc.assert(
    fc.property(
      fc.constantFrom(...signals),
      text,
      fc.array(anyToken),
      fc.array(anyToken),
      (signal, said, tokens, other) => {
        const completion = draftOf(null, { text: said, tokens });
        const assessment = draftOf(null, { text: 'Y', tokens: other });
        const evidence = {
          completion,
          endpoint: '/v1/chat/completions',
          request: {},
          assessment,
          samples: [assessment],
        } as const;
        const scored = scoreNow(evidence, { signal, calibration: null });
        if (scored.kind === 'no_evidence') return;
        assert.ok(Number.isFinite(scored.score));
        const confidence = calibrated({ signal, calibration: { method: 'platt', a: 1, b: 0 } }, scored.score);
        assert.ok(confidence !== null && confidence >= 0 && confidence <= 1);
      },
    ),
    { numRuns: 500 },
  );
});
