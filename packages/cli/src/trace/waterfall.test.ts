import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resultLine, type CascadeAnnotation, type ResultLine, type StageAnnotation } from '@spillway/core';
import { waterfall } from './waterfall.ts';

const usage = { input_tokens: 90, cached_tokens: 0, output_tokens: 18 };

/** A stage that judges; a draft of 200 ms that was escalated. */
const drafted = (model: string, more: Partial<StageAnnotation> = {}): StageAnnotation => ({
  model,
  role: 'drafter',
  ask: 'answer',
  outcome: 'escalated',
  reason: 'low_confidence',
  signal: 'mean_logprob',
  score: -0.34,
  confidence: 0.71,
  calibrated: false,
  accept_at: 0.9,
  attempts: 1,
  usage,
  wait_ms: { queue: 100, call: 200, hand_off: 0 },
  ...more,
});

const answered = (more: Partial<StageAnnotation> = {}): StageAnnotation => ({
  ...drafted('large'),
  role: 'expert',
  outcome: 'answered',
  reason: null,
  signal: null,
  score: null,
  confidence: null,
  accept_at: null,
  wait_ms: { queue: 200, call: 500, hand_off: null },
  ...more,
});

const skipped = (model: string): StageAnnotation =>
  drafted(model, {
    outcome: 'skipped',
    reason: 'too_long',
    score: null,
    confidence: null,
    attempts: 0,
    wait_ms: { queue: null, call: null, hand_off: null },
  });

type Times = { readonly total: number; readonly sequential: number | null };

/** A line whose last stage delivered, read as the commands read it. */
function lineOf(stages: readonly StageAnnotation[], wait_ms: Times, more: Partial<ResultLine> = {}): ResultLine {
  const last = stages.at(-1) ?? answered();
  const cascade: CascadeAnnotation = {
    name: 'documents',
    stage: stages.length,
    model: last.model,
    role: last.role,
    escalated: stages.length > 1,
    certificate: null,
    trace_id: null,
    stages: [...stages],
    wait_ms,
  };
  const response = { status_code: 200, request_id: 'r', body: {} };
  return resultLine.parse({ id: 'line_1', custom_id: 'a', response, error: null, cascade, ...more });
}

const failure = (code: string, message: string) => ({ response: null, error: { code, message } });

test('an escalated document: its parts one after the other, to scale', () => {
  const line = lineOf([drafted('small', { attempts: 2 }), answered()], { total: 1_000, sequential: 500 });
  assert.deepEqual(waterfall(line, 20), [
    'a: escalated to large, low_confidence (mean_logprob: 0.710, accept_at 0.9), status 200',
    '  document                    1.00 s  ────────────────────',
    '  queue.wait drafter          100 ms  ░░',
    '  draft small (2 attempts)    200 ms    ████',
    '  hand-off                      0 ms        ░',
    '  queue.wait expert           200 ms        ░░░░',
    '  expert large                500 ms            ██████████',
    "  sequential wait: 500 ms until large began, 50 % of the document's time",
  ]);
});

test('what no further worker would have shortened has rows of its own', () => {
  const held = drafted('small', {
    wait_ms: { queue: 10, call: 200, hand_off: 0, delays: { breaker: 250, back_off: 40 } },
  });
  const line = lineOf([held, answered()], { total: 1_200, sequential: 700 });
  assert.deepEqual(waterfall(line, 24).slice(2, 6), [
    '  queue.wait drafter        10 ms  ░',
    '  breaker.wait drafter     250 ms  ░░░░░',
    '  back_off.wait drafter     40 ms       ░',
    '  draft small              200 ms        ████',
  ]);
});

test('three stages: every stage with its reason, and the sequential wait until the last one', () => {
  const medium = drafted('medium', { reason: 'no_logprobs', score: null, confidence: null });
  const line = lineOf(
    [drafted('small'), { ...medium, wait_ms: { queue: 50, call: 130, hand_off: 20 } }, answered({ attempts: 3 })],
    { total: 1_200, sequential: 700 },
  );
  assert.deepEqual(waterfall(line, 24), [
    'a: escalated to medium, low_confidence (mean_logprob: 0.710, accept_at 0.9), escalated to large, no_logprobs, status 200',
    '  document                     1.20 s  ────────────────────────',
    '  queue.wait drafter           100 ms  ░░',
    '  draft small                  200 ms    ████',
    '  hand-off                       0 ms        ░',
    '  queue.wait drafter            50 ms        ░',
    '  draft medium                 130 ms         ███',
    '  hand-off                      20 ms            ░',
    '  queue.wait expert            200 ms            ░░░░',
    '  expert large (3 attempts)    500 ms                ██████████',
    "  sequential wait: 700 ms until large began, 58 % of the document's time",
  ]);
});

test('a draft that is final by a verdict: who said so, and until when that was waited for', () => {
  const verdict = answered({
    ask: 'verdict',
    outcome: 'accepted',
    signal: 'self_assessment',
    confidence: 0.95,
    accept_at: 0.9,
    verdict_on: 1,
  });
  const line = lineOf([drafted('small'), verdict], { total: 1_000, sequential: 500 });
  const cascade: CascadeAnnotation = {
    ...(line.cascade ?? assert.fail()),
    stage: 1,
    model: 'small',
    role: 'drafter',
    by: 'verdict',
  };
  const shown = waterfall({ ...line, cascade }, 20);
  assert.equal(
    shown[0],
    'a: escalated to large, low_confidence (mean_logprob: 0.710, accept_at 0.9), right as large says (self_assessment: 0.950, accept_at 0.9), status 200',
  );
  assert.equal(shown.at(-1), "  sequential wait: 500 ms until large began, 50 % of the document's time");
});

test('a draft that the middle stage accepted: nothing of the stage after it', () => {
  const accepted = drafted('medium', {
    outcome: 'accepted',
    reason: null,
    confidence: 0.96,
    wait_ms: { queue: 100, call: 200, hand_off: null },
  });
  const lines = waterfall(lineOf([drafted('small'), accepted], { total: 600, sequential: 400 }), 12);
  assert.equal(
    lines[0],
    'a: escalated to medium, low_confidence (mean_logprob: 0.710, accept_at 0.9), accepted from medium (mean_logprob: 0.960, accept_at 0.9), status 200',
  );
  assert.equal(lines.at(-1), "  sequential wait: 400 ms until medium began, 67 % of the document's time");
  assert.deepEqual(
    lines.slice(2, -1).map((text) => text.slice(2, 22).trimEnd()),
    ['queue.wait drafter', 'draft small', 'hand-off', 'queue.wait drafter', 'draft medium'],
  );
});

test('a stage that was skipped has a row without a time, and nobody is escalated to it', () => {
  const lines = waterfall(lineOf([drafted('small'), skipped('medium'), answered()], { total: 1_000, sequential: 500 }));
  assert.equal(
    lines[0],
    'a: escalated to large, low_confidence (mean_logprob: 0.710, accept_at 0.9), medium skipped, too_long, status 200',
  );
  assert.equal(lines[5], '  draft medium         skipped');
  assert.equal(lines.length, 9);
  const first = waterfall(lineOf([skipped('small'), answered()], { total: 700, sequential: 200 }));
  assert.equal(first[0], 'a: small skipped, too_long, status 200');
});

test('a stage that failed, of the drafters or the last one', () => {
  const broken = drafted('small', { outcome: 'failed', reason: 'draft_failed', confidence: null, attempts: 4 });
  const late = failure('request_timeout', 'late');
  const lines = waterfall(
    lineOf([broken, answered({ outcome: 'failed', attempts: 2 })], { total: 1_000, sequential: 500 }, late),
  );
  assert.equal(lines[0], 'a: escalated to large, draft_failed, request_timeout: late');
  assert.match(lines.join('\n'), /draft small \(4 attempts\)[\s\S]+expert large \(2 attempts\)/);
  const refused = { response: { status_code: 400, request_id: 'r', body: {} } };
  const [head] = waterfall(lineOf([drafted('small'), answered()], { total: 1_000, sequential: 500 }, refused));
  assert.match(head ?? '', /low_confidence.*status 400$/);
});

test('a draft that is delivered at the deadline', () => {
  const draft = drafted('small', { outcome: 'deadline_draft', wait_ms: { queue: 1, call: 9, hand_off: null } });
  const [head] = waterfall(lineOf([draft], { total: 10, sequential: null }));
  assert.equal(
    head,
    'a: the draft of small at the deadline, low_confidence (mean_logprob: 0.710, accept_at 0.9), status 200',
  );
});

test('a copy: what was decided is that of its first, which is named, and nothing was called', () => {
  const none = { attempts: 0, wait_ms: { queue: null, call: null, hand_off: null } };
  const line = lineOf([drafted('small', none), answered(none)], { total: 30, sequential: null });
  const { cascade } = line;
  assert.ok(cascade !== undefined);
  assert.deepEqual(waterfall({ ...line, cascade: { ...cascade, copy_of: 'first' } }, 4), [
    'a: a copy of first, which was asked about, escalated to large, low_confidence (mean_logprob: 0.710, accept_at 0.9), status 200',
    '  document     30 ms  ────',
  ]);
});

test('a document whose answer was known, and one whose draft was', () => {
  const none = { attempts: 0, kept: true as const, wait_ms: { queue: null, call: null, hand_off: null } };
  const known = lineOf([drafted('small', none), answered(none)], { total: 0, sequential: null });
  const cascade = { ...(known.cascade ?? assert.fail()), kept_from: 'batch_1' };
  assert.deepEqual(waterfall({ ...known, cascade }, 4), [
    'a: known from batch_1, escalated to large, low_confidence (mean_logprob: 0.710, accept_at 0.9), status 200',
    '  document          1 ms  ────',
    '  draft small    kept',
    '  expert large   kept',
  ]);
  const begun = waterfall(lineOf([drafted('small', none), answered({})], { total: 30, sequential: 10 }), 4);
  assert.equal(begun[2], '  draft small         kept');
});

test('an accepted document, and one whose line says no more', () => {
  const accepted = drafted('small', {
    outcome: 'accepted',
    reason: null,
    wait_ms: { queue: 1, call: 9, hand_off: null },
  });
  const lines = waterfall(lineOf([accepted], { total: 10, sequential: null }));
  assert.equal(lines.length, 4);
  assert.equal(lines[0], 'a: accepted from small (mean_logprob: 0.710, accept_at 0.9), status 200');
  const silent = resultLine.parse({ id: 'line_1', custom_id: 'a', ...failure('batch_expired', 'late') });
  assert.match(waterfall(silent)[0] ?? '', /^a: batch_expired: late\. Its line does not say more/);
});
