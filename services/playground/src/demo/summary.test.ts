import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { CascadeAnnotation, ResultLine, StageAnnotation } from '@spillway/core';
import { readOutcome } from './results.ts';
import { quantile } from './statistics.ts';
import { duration, summarize } from './summary.ts';
import { tally } from './tally.ts';

const truth = { type: 'invoice', currency: 'EUR', total: '12.00' } as const;
const right = JSON.stringify(truth);

const responseOf = (content: string): ResultLine['response'] => ({
  status_code: 200,
  request_id: 'r',
  body: { choices: [{ message: { content }, finish_reason: 'stop' }] },
});

const stageOf = (stage: Partial<StageAnnotation>): StageAnnotation => ({
  model: 'small',
  role: 'drafter',
  ask: 'answer',
  outcome: 'accepted',
  reason: null,
  signal: 'sum_logprob',
  score: -0.1,
  confidence: 0.9,
  calibrated: false,
  accept_at: 0.7,
  attempts: 1,
  usage: { input_tokens: 100, cached_tokens: 0, output_tokens: 20 },
  wait_ms: { queue: 150, call: 50, hand_off: null },
  ...stage,
});

const lineOf = (line: Omit<ResultLine, 'id'>): string => JSON.stringify({ id: 'line_1', ...line } satisfies ResultLine);

const cascadeOf = (stages: StageAnnotation[], wait_ms: CascadeAnnotation['wait_ms']): CascadeAnnotation => ({
  name: 'documents',
  stage: stages.length,
  model: stages.length === 1 ? 'small' : 'large',
  role: stages.length === 1 ? 'drafter' : 'expert',
  escalated: stages.length > 1,
  certificate: null,
  trace_id: null,
  stages,
  wait_ms,
});

const accepted = (id: string, content: string): string =>
  lineOf({
    custom_id: id,
    response: responseOf(content),
    error: null,
    cascade: cascadeOf([stageOf({})], { sequential: null, total: 200 }),
  });

const escalated = (id: string, answer: string | null, cachedTokens = 0): string => {
  const draft = stageOf({
    outcome: 'escalated',
    reason: 'low_confidence',
    wait_ms: { queue: 250, call: 50, hand_off: 5 },
  });
  const expert = stageOf({
    model: 'large',
    role: 'expert',
    outcome: answer === null ? 'failed' : 'answered',
    usage: { input_tokens: 100, cached_tokens: cachedTokens, output_tokens: 20 },
    wait_ms: { queue: 295, call: 400, hand_off: null },
  });
  return lineOf({
    custom_id: id,
    response: answer === null ? null : responseOf(answer),
    error: answer === null ? { code: 'server_error', message: 'x' } : null,
    cascade: cascadeOf([draft, expert], { sequential: 600, total: 1_000 }),
  });
};

const read = async (lines: { text: string; failed?: boolean }[], truths: ReadonlyMap<string, typeof truth> | null) =>
  tally(
    (async function* () {
      for (const { text, failed = false } of lines) yield { outcome: readOutcome(text), failed };
    })(),
    truths,
  );

test('adds up what the lines say', async () => {
  const lines = [
    { text: accepted('1', right) },
    { text: accepted('2', 'no') },
    { text: escalated('3', right) },
    { text: escalated('4', null), failed: true },
    { text: lineOf({ custom_id: '5', response: null, error: { code: 'batch_expired', message: 'x' } }), failed: true },
  ];
  const found = await read(lines, new Map(['1', '2', '3', '4', '5'].map((id) => [id, truth])));
  assert.deepEqual(
    { ...found, waits: found.waits.length, reasons: [...found.reasons] },
    {
      documents: 5,
      failed: 2,
      accepted: 2,
      escalated: 2,
      correct: 2,
      reasons: [['low_confidence', 2]],
      valued: {
        documents: 0,
        values: 0,
        taken: { inputTokens: 0, cachedTokens: 0, outputTokens: 0 },
        drafts: { inputTokens: 0, cachedTokens: 0, outputTokens: 0 },
      },
      fastMs: [200, 200],
      slowMs: [1_000],
      waits: 1,
      drafter: { inputTokens: 400, cachedTokens: 0, outputTokens: 80 },
      expert: { inputTokens: 200, cachedTokens: 0, outputTokens: 40 },
    },
  );
});

test('the summary says all that the demo promises', async () => {
  const lines = [accepted('1', right), accepted('2', 'no'), accepted('3', right), escalated('4', right)];
  const found = await read(
    lines.map((text) => ({ text })),
    new Map(['1', '2', '3', '4'].map((id) => [id, truth])),
  );
  const single = (correct: number) => ({
    correct,
    tokens: { inputTokens: 400, cachedTokens: 0, outputTokens: 80 },
    durationMs: 1_000,
  });
  const text = summarize({
    tally: found,
    batchMs: 2_000,
    singleModels: { drafter: single(2), expert: single(4) },
    files: { output: './x_output.jsonl', errors: null },
  });
  assert.deepEqual(text, [
    '  documents        4 in 2.0 s (2/s), 0 without an answer',
    '  accepted         3 drafts (75.0 %)',
    '  escalated        1 to the expert (25.0 %): 1 low_confidence',
    '  accuracy         drafter only 50.0 %, cascade 75.0 %, expert only 100.0 %',
    "  money            $0.000216 against $0.000720 all-expert: 70 % less (at the demo's list prices)",
    '  fast path        median 200 ms, p95 200 ms (accepted; from enqueueing to the answer, queues included)',
    '  slow path        median 1.0 s, p95 1.0 s (escalated)',
    "  sequential wait  p50 600 ms, p95 600 ms, 60.0 % of the escalated documents' time",
    "                   at the median: drafter's queue 250 ms, draft 50 ms, hand-off 5 ms, expert's queue 295 ms",
    '  output file      ./x_output.jsonl',
  ]);
});

test('where the expert was asked for unsure values only the demo says what that saved', async () => {
  const draft = stageOf({ outcome: 'escalated', reason: 'low_confidence' });
  const usage = { input_tokens: 110, cached_tokens: 0, output_tokens: 8 };
  const asked = {
    ask: 'fields',
    asked_fields: ['/total'],
    outcome: 'answered',
    usage,
  } satisfies Partial<StageAnnotation>;
  const expert = stageOf({ model: 'large', role: 'expert', ...asked });
  const cascade = cascadeOf([draft, expert], { sequential: 600, total: 1_000 });
  const valued = lineOf({ custom_id: '2', response: responseOf('x'), error: null, cascade });
  const found = await read([{ text: accepted('1', 'x') }, { text: valued }], null);
  const text = summarize({ tally: found, batchMs: 100, singleModels: null, files: { output: null, errors: null } });
  assert.deepEqual(
    text.filter((line) => /values only|plain cascade/.test(line)),
    [
      '  values only      the expert was asked for 1 unsure values of 1 drafts: 8 tokens written instead of about 20 (60.0 % less)',
      // Two drafts at 9e-6; 100 tokens read at 1 and 20 written at 4 dollars a million.
      '                   a plain cascade, whose expert answers from scratch: $0.000198',
    ],
  );
});

test('cached tokens are charged at their own price', async () => {
  const found = await read([{ text: escalated('1', right, 80) }], null);
  assert.deepEqual(found.expert, { inputTokens: 100, cachedTokens: 80, outputTokens: 20 });
  const files = { output: null, errors: null };
  const tokens = { inputTokens: 100, cachedTokens: 40, outputTokens: 20 };
  const single = { correct: 1, tokens, durationMs: 1_000 };
  const facts = { tally: found, batchMs: 100, singleModels: { drafter: single, expert: single }, files };
  // The draft 9e-6; of the expert's tokens 20 at 1, 80 at 0.25 and 20 written at 4 dollars a million.
  assert.match(summarize(facts).join('\n'), /money +\$0\.000129 against \$0\.000150 all-expert: 14 % less/);
});

test('a line that is no result line is a mistake, not an outcome', () => {
  assert.throws(() => readOutcome('{"custom_id":"1"}'), /a result file holds a line that is none/);
});

test('without a truth there is no accuracy, and the money is an estimate', async () => {
  const found = await read([{ text: accepted('1', 'anything') }], null);
  const text = summarize({
    tally: found,
    batchMs: 100,
    singleModels: null,
    files: { output: null, errors: './e' },
  }).join('\n');
  assert.match(text, /accuracy +unknown/);
  assert.match(text, /estimated all-expert/);
  assert.match(text, /slow path +median –, p95 – /);
  assert.doesNotMatch(text, /sequential|output file|NaN/);
  assert.match(text, /error file +\.\/e$/);
});

test('a quantile is one of the values, and that share of them does not exceed it', () => {
  assert.equal(quantile([], 0.5), null);
  assert.equal(quantile([3, 1, 2], 0.5), 2);
  assert.equal(quantile([1, 2, 3, 4], 0.95), 4);
  const values = fc.array(fc.integer(), { minLength: 1 });
  fc.assert(
    fc.property(values, fc.double({ min: 0, max: 1, noNaN: true }), (list, share) => {
      const found = quantile(list, share);
      assert.ok(found !== null && list.includes(found));
      assert.ok(list.filter((value) => value <= found).length >= share * list.length);
      assert.ok(list.filter((value) => value < found).length <= share * list.length);
    }),
  );
});

test('times are said as people say them', () => {
  assert.deepEqual([0, 999.4, 1_000, 61_040, 125_000].map(duration), [
    '0 ms',
    '999 ms',
    '1.0 s',
    '61.0 s',
    '2 min 5 s',
  ]);
});
