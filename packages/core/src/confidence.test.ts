import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Completion } from './completion.ts';
import { confidenceOf, ESCALATION_REASONS, scoreDraft, SIGNALS, type SignalName } from './confidence.ts';
import type { JsonObject } from './json.ts';

const NAMES = Object.keys(SIGNALS) as SignalName[];

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

function judge(draft: Completion, request: JsonObject = {}, signal: SignalName = 'mean_logprob') {
  return scoreDraft(draft, { signal, endpoint: '/v1/chat/completions', request });
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
  assert.deepEqual(judge(draft, {}, 'mean_logprob'), { kind: 'scored', score: -0.5 });
  assert.deepEqual(judge(draft, {}, 'min_logprob'), { kind: 'scored', score: -1 });
  assert.deepEqual(judge(draft, {}, 'sum_logprob'), { kind: 'scored', score: -1.5 });
  assert.equal(confidenceOf('mean_logprob', -0.5), Math.exp(-0.5));
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
  for (const text of ['{"total": 10.', deep, '[1]', '"x"', '```json\n{}\n```', 'null']) {
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

const logprob = fc.double({ min: -9999, max: 0, noNaN: true });

test('a score is a number, and its confidence a probability', () => {
  fc.assert(
    fc.property(fc.constantFrom(...NAMES), fc.array(fc.double()), fc.jsonValue(), (signal, values, format) => {
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
      fc.constantFrom(...NAMES),
      fc.array(logprob, { minLength: 1 }),
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
    fc.property(fc.constantFrom(...NAMES), fc.double(), (signal, score) => {
      const confidence = confidenceOf(signal, score);
      assert.ok(confidence >= 0 && confidence <= 1);
    }),
  );
  assert.equal(confidenceOf('mean_logprob', Number.NaN), 0);
});
