import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resultLine, type CascadeAnnotation, type StageAnnotation } from '@spillway/core';
import { draftOf, scoreBy } from './drafts.ts';

const EVIDENCE = { scores: { '{"name":"entropy"}': -0.2, '{"name":"min_logprob"}': null }, features: [1, 2] };

type Drafted = { readonly confidence: number | null; readonly acceptAt: number; readonly isAccepted?: boolean };

/** A stage that drafted `draft of <model>`; `isAccepted`: the line's answer is its draft. */
const drafted = (model: string, { confidence, acceptAt, isAccepted = false }: Drafted): StageAnnotation => ({
  model,
  role: 'drafter',
  ask: 'answer',
  outcome: isAccepted ? 'accepted' : 'escalated',
  reason: isAccepted ? null : 'shadow_run',
  signal: 'sum_logprob',
  score: confidence === null ? null : Math.log(confidence),
  confidence,
  calibrated: false,
  accept_at: acceptAt,
  attempts: 1,
  usage: { input_tokens: 100, cached_tokens: 40, output_tokens: model.length },
  wait_ms: { queue: 1, call: 1, hand_off: isAccepted ? null : 1 },
  ...(isAccepted ? {} : { draft: { text: `draft of ${model}`, evidence: EVIDENCE } }),
});

const expert: StageAnnotation = {
  ...drafted('large', { confidence: null, acceptAt: 1, isAccepted: true }),
  role: 'expert',
  outcome: 'answered',
  signal: null,
  accept_at: null,
};

/** What a stage drafted by a line of these stages, the last of which delivered. */
function draftIn(
  stages: readonly StageAnnotation[],
  stage: number,
  status = 200,
  more: Partial<CascadeAnnotation> = {},
) {
  const last = stages.at(-1) ?? expert;
  const cascade: CascadeAnnotation = {
    name: 'documents',
    stage: stages.length,
    model: last.model,
    role: last.role,
    escalated: stages.length > 1,
    response_format: 'json_schema',
    certificate: null,
    trace_id: null,
    stages: [...stages],
    wait_ms: { sequential: null, total: 9 },
    ...more,
  };
  const body = {
    object: 'chat.completion',
    choices: [{ index: 0, message: { role: 'assistant', content: `answer of ${last.model}` }, finish_reason: 'stop' }],
    usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
  };
  const response = { status_code: status, request_id: 'r', body: status === 200 ? body : { error: {} } };
  const line = resultLine.parse({ id: 'line_1', custom_id: 'a', response, error: null, cascade });
  return draftOf(line, cascade, stage);
}

const small = (confidence: number | null, acceptAt = 0.9) => drafted('small', { confidence, acceptAt });
const medium = (confidence: number | null, isAccepted = false) =>
  drafted('medium', { confidence, acceptAt: 0.8, isAccepted });

test('two stages: the draft, the answer of the expert, and what both cost', () => {
  const found = draftIn([small(0.4), expert], 1);
  assert.deepEqual(found, {
    customId: 'a',
    model: 'small',
    format: 'json_schema',
    draft: 'draft of small',
    expert: 'answer of large',
    score: Math.log(0.4),
    isStopped: false,
    scores: EVIDENCE.scores,
    features: EVIDENCE.features,
    values: null,
    draftTokens: { inputTokens: 100, cachedTokens: 40, outputTokens: 5 },
    expertTokens: { inputTokens: 100, cachedTokens: 40, outputTokens: 5 },
    acceptBefore: [],
    acceptAt: 0.9,
    isAcceptedToday: false,
  });
  const accepted = draftIn([drafted('small', { confidence: 0.95, acceptAt: 0.9, isAccepted: true })], 1);
  assert.deepEqual(
    [accepted?.draft, accepted?.expert, accepted?.expertTokens, accepted?.scores],
    ['answer of small', null, null, null],
  );
  assert.equal(draftIn([small(0.4), expert], 1, 200, { copy_of: 'b' }), null, 'a copy is no draft of its own');
});

test('where values have rules of their own these say what a stage before would have accepted', () => {
  const sure = { ...small(0.4), values_sure: true };
  const unsure = { ...small(0.95), values_sure: false };
  assert.equal(draftIn([sure, medium(0.7), expert], 2), null);
  assert.equal(draftIn([unsure, medium(0.7), expert], 2)?.draft, 'draft of medium');
  assert.deepEqual(
    [draftIn([sure, expert], 1), draftIn([unsure, expert], 1)].map((one) => one?.isAcceptedToday),
    [true, false],
  );
  const none = { ...small(null), values_sure: true };
  assert.equal(draftIn([none, medium(0.7), expert], 2)?.draft, 'draft of medium', 'without a score nothing is sure');
});

test('a later stage: in a shadow run only what the stages before would have escalated', () => {
  const reached = draftIn([small(0.4), medium(0.7), expert], 2);
  assert.deepEqual(
    [reached?.model, reached?.draft, reached?.expert, reached?.score, reached?.acceptBefore],
    ['medium', 'draft of medium', 'answer of large', Math.log(0.7), [0.9]],
  );
  assert.deepEqual(reached?.draftTokens, { inputTokens: 100, cachedTokens: 40, outputTokens: 6 });
  assert.equal(draftIn([small(0.9), medium(0.7), expert], 2), null, 'at the threshold the first draft is final');
  assert.equal(
    draftIn([small(null), medium(0.7), expert], 2)?.draft,
    'draft of medium',
    'without a confidence it goes on',
  );
});

test('a later stage: in an ordinary batch what reached it', () => {
  const accepted = draftIn([small(0.4), medium(0.85, true)], 2);
  assert.deepEqual([accepted?.draft, accepted?.expert, accepted?.expertTokens], ['answer of medium', null, null]);
  assert.equal(draftIn([drafted('small', { confidence: 0.95, acceptAt: 0.9, isAccepted: true })], 2), null);
});

/** A stage that was asked whether the draft of the first one is right, and answered where it was not sure. */
const judging = (confidence: number, isFinal: boolean): StageAnnotation => ({
  ...expert,
  ask: 'verdict',
  outcome: isFinal ? 'accepted' : 'answered',
  signal: 'self_assessment',
  score: confidence,
  confidence,
  accept_at: 0.9,
  verdict_on: 1,
  usage: { input_tokens: 120, cached_tokens: 40, output_tokens: 8 },
});

test('a verdict is on an earlier draft: that one is compared, and each of both calls has its own cost', () => {
  const refused = draftIn([small(0.4), judging(0.7, false)], 2);
  assert.deepEqual(refused, {
    customId: 'a',
    model: 'large',
    format: 'json_schema',
    draft: 'draft of small',
    expert: 'answer of large',
    score: 0.7,
    isStopped: false,
    scores: null,
    features: null,
    values: null,
    draftTokens: { inputTokens: 119, cachedTokens: 40, outputTokens: 7 },
    expertTokens: { inputTokens: 1, cachedTokens: 0, outputTokens: 1, reasoningTokens: 0 },
    acceptBefore: [0.9],
    acceptAt: 0.9,
    isAcceptedToday: false,
  });
  assert.equal(draftIn([small(0.95), judging(0.7, false)], 2), null, 'in a shadow run: the first draft would be final');
  const { draft: _, ...delivered } = small(0.4);
  const final = draftIn([delivered, judging(0.95, true)], 2, 200, { stage: 1, role: 'drafter', by: 'verdict' });
  assert.deepEqual(
    [final?.draft, final?.expert, final?.score, final?.expertTokens, final?.draftTokens.outputTokens],
    ['answer of large', null, 0.95, null, 8],
    'the answer of the line is the draft',
  );
  const { verdict_on: __, ...unasked } = judging(0.7, false);
  const plain = draftIn([small(0.4), { ...unasked, ask: 'answer', ask_reason: 'verdict_failed', score: null }], 2);
  assert.deepEqual([plain?.draft, plain?.score], [null, null], 'it was asked for no verdict');
});

test('an expert that failed has said nothing', () => {
  const found = draftIn([small(0.4), { ...expert, outcome: 'failed' }], 1, 400);
  assert.deepEqual([found?.draft, found?.expert], ['draft of small', null]);
});

test('a score is by a signal that the line shows: of every one in a shadow run, else of its own', () => {
  const shadow = draftIn([small(0.4), expert], 1);
  const ordinary = draftIn([drafted('small', { confidence: 0.95, acceptAt: 0.9, isAccepted: true })], 1);
  assert.ok(shadow !== null && ordinary !== null);
  const own = { name: 'sum_logprob' } as const;
  assert.equal(scoreBy(shadow, { name: 'entropy' }, own), -0.2);
  assert.equal(scoreBy(shadow, { name: 'min_logprob' }, own), null);
  assert.equal(scoreBy(shadow, own, own), Math.log(0.4));
  assert.equal(scoreBy(ordinary, own, own), Math.log(0.95));
  assert.equal(scoreBy(ordinary, { name: 'entropy' }, own), undefined);
});
