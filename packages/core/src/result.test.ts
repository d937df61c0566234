import assert from 'node:assert/strict';
import { test } from 'node:test';
import { afterFailure, escalatedJob, type DocumentJob, type Draft } from './job.ts';
import { readTimes, writeTimes } from './times.ts';
import { jsonLine, resultOf, uncertifiedDraft, unfinishedLine } from './result.ts';

const usage = { inputTokens: 100, cachedTokens: 0, outputTokens: 10, reasoningTokens: 0 };
const answer = { status: 200, requestId: 'req_1', body: { choices: [] }, usage };

const job: DocumentJob = {
  v: 1,
  batch: `batch_${'0'.repeat(32)}`,
  document: 7,
  page: 0,
  place: 7,
  customId: 'doc-7',
  cascade: 'invoices',
  rules: {
    drafter: 'small',
    expert: 'large',
    confidence: { signal: { name: 'mean_logprob' }, calibration: null },
    both: false,
    limits: { contextTokens: null, images: true, tools: true },
    acceptAt: 0.9,
    onDeadline: 'error',
    annotate: true,
    draftPrice: { input: 1, output: 2 },
    expertPrice: { input: 10, output: 20 },
  },
  endpoint: '/v1/chat/completions',
  body: {},
  sampled: false,
  fedAtMs: 1_000,
  deadlineMs: 100_000,
  tries: 0,
  waitingSinceMs: 1_000,
  attempts: [],
  handedOverAtMs: null,
  draft: null,
};

const draft: Draft = {
  model: 'small',
  answer,
  score: -0.5,
  confidence: 0.6,
  fields: null,
  evidence: null,
  reason: 'low_confidence',
  attempts: [{ sinceMs: 1_000, startedAtMs: 1_100, endedAtMs: 1_300, error: null }],
  startedAtMs: 1_100,
  endedAtMs: 1_300,
};

test('an accepted draft: output line, counts, money', () => {
  const ending = { kind: 'accepted' as const, draft: { ...draft, answer, confidence: 0.95 } };
  const result = resultOf(job, ending);
  assert.equal(result.line.part, 'output');
  const line = JSON.parse(result.line.text);
  assert.equal(line.custom_id, 'doc-7');
  assert.deepEqual(line.response, { status_code: 200, request_id: 'req_1', body: { choices: [] } });
  assert.equal(line.error, null);
  assert.deepEqual([line.cascade.tier, line.cascade.escalated, line.cascade.reason], ['draft', false, null]);
  assert.deepEqual(result.counts, {
    completed: 1,
    accepted: 1,
    draftInputTokens: 100,
    draftCachedTokens: 0,
    draftOutputTokens: 10,
    draftReasoningTokens: 0,
    draftNanoUsd: 120_000,
    wastedInputTokens: 0,
    wastedOutputTokens: 0,
    wastedNanoUsd: 0,
    allExpertNanoUsd: 1_200_000,
  });
});

test('an escalated document: the waits add up to the sequential wait', () => {
  const escalated = escalatedJob(job, draft, 1_350);
  const result = resultOf(escalated, { kind: 'expert', answer, startedAtMs: 2_000, endedAtMs: 2_500 });
  const { wait_ms: wait, drafter, expert, reason } = JSON.parse(result.line.text).cascade;
  assert.equal(reason, 'low_confidence');
  assert.deepEqual(wait, { drafter_queue: 100, hand_over: 50, expert_queue: 650, sequential: 1_000, total: 1_500 });
  assert.equal(wait.drafter_queue + drafter.duration_ms + wait.hand_over + wait.expert_queue, wait.sequential);
  assert.equal(expert.duration_ms, 500);
  assert.equal(result.counts.escalated, 1);
  assert.equal(result.counts.expertNanoUsd, 1_200_000);
  assert.deepEqual([result.counts.wastedInputTokens, result.counts.wastedNanoUsd], [100, 120_000]);
});

test('tries that failed have their own waits, and all of them add up to the whole time', () => {
  const drafting = afterFailure(
    job,
    1,
    { startedAtMs: 1_010, endedAtMs: 1_030 },
    { type: '500', message: 'status 500' },
  );
  const attempts = [...drafting.attempts, { sinceMs: 1_030, startedAtMs: 1_100, endedAtMs: 1_300, error: null }];
  const escalated = escalatedJob(drafting, { ...draft, attempts }, 1_350);
  const again = afterFailure(
    escalated,
    1,
    { startedAtMs: 1_400, endedAtMs: 1_600 },
    { type: 'timeout', message: 'no answer' },
  );
  const { times, line } = resultOf(again, { kind: 'expert', answer, startedAtMs: 2_000, endedAtMs: 2_500 });
  assert.deepEqual(times, {
    drafter: { queueMs: 80, callMs: 220 },
    handOverMs: 50,
    expert: { queueMs: 450, callMs: 700 },
    sequentialMs: 400,
    totalMs: 1_500,
  });
  assert.equal(80 + 220 + 50 + 450 + 700, times.totalMs);
  const { drafter, expert } = JSON.parse(line.text).cascade;
  assert.deepEqual([drafter.tries, expert.tries], [2, 2]);
  assert.deepEqual(readTimes(writeTimes(times)), times);
  for (const text of ['', '[]', '[null,1,null,null,-1]', '{}']) assert.equal(readTimes(text), null);
});

test('an HTTP failure of the expert keeps status and body; one without HTTP has an error', () => {
  const refused = { ...answer, status: 400, body: { error: { message: 'no' } } };
  const http = resultOf(escalatedJob(job, draft, 1_350), {
    kind: 'expert',
    answer: refused,
    startedAtMs: 2_000,
    endedAtMs: 2_500,
  });
  assert.equal(http.line.part, 'error');
  assert.equal(JSON.parse(http.line.text).response.status_code, 400);
  assert.equal(http.counts.failed, 1);
  const error = { code: 'request_timeout', message: 'late' };
  const none = resultOf(escalatedJob(job, draft, 1_350), {
    kind: 'failed',
    error,
    why: { type: 'timeout', message: 'late' },
    startedAtMs: 2_000,
    endedAtMs: 2_500,
  });
  assert.deepEqual(JSON.parse(none.line.text).error, error);
  assert.equal(JSON.parse(none.line.text).response, null);
});

test('clocks that differ never make a wait negative', () => {
  const attempts = [{ sinceMs: 1_000, startedAtMs: 900, endedAtMs: 950, error: null }];
  const early = { ...draft, attempts, startedAtMs: 900, endedAtMs: 950 };
  const result = resultOf(escalatedJob(job, early, 940), { kind: 'expert', answer, startedAtMs: 800, endedAtMs: 850 });
  const waits = Object.values(JSON.parse(result.line.text).cascade.wait_ms);
  assert.ok(waits.every((wait) => typeof wait === 'number' && wait >= 0));
});

test('a draft taken at the deadline says that it is not certified', () => {
  const result = uncertifiedDraft(escalatedJob(job, draft, 1_350), draft, answer);
  assert.equal(JSON.parse(result.line.text).cascade.certified, false);
  assert.equal(result.counts.completed, 1);
});

test('lines survive readers that take other separators for line ends', () => {
  assert.equal(jsonLine({ a: 'x\u2028y\u2029z\u0085' }), '{"a":"x\\u2028y\\u2029z\\u0085"}');
  const line = unfinishedLine('b', 0, 'id\u2028', { code: 'batch_cancelled', message: 'm' });
  assert.equal(line.text.split(/[\n\r\u2028\u2029\u0085]/).length, 1);
  assert.equal(JSON.parse(line.text).custom_id, 'id\u2028');
});

test('a cascade that does not annotate has lines as OpenAI has them', () => {
  const plain = { ...job, rules: { ...job.rules, annotate: false } };
  const { reason: _reason, ...accepted } = { ...draft, answer, confidence: 0.95 };
  const result = resultOf(plain, { kind: 'accepted', draft: accepted });
  assert.deepEqual(Object.keys(JSON.parse(result.line.text) as object), ['id', 'custom_id', 'response', 'error']);
  assert.equal('cascade' in (JSON.parse(uncertifiedDraft(plain, draft, answer).line.text) as object), false);
});
