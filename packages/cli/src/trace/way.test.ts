import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tracedLine, waterfall } from './way.ts';

const cascade = {
  name: 'documents',
  tier: 'expert',
  confidence: 0.71,
  threshold: 0.9,
  signal: 'mean_logprob',
  escalated: true,
  reason: 'low_confidence',
  drafter: { model: 'small', duration_ms: 200, tries: 2 },
  expert: { model: 'large', duration_ms: 500, tries: 1 },
  wait_ms: { drafter_queue: 100, hand_over: 0, expert_queue: 200, sequential: 500, total: 1000 },
};

test('an escalated document: its parts one after the other, to scale', () => {
  const line = tracedLine.parse({ custom_id: 'a', response: { status_code: 200 }, error: null, cascade });
  assert.deepEqual(waterfall(line, 20), [
    'a: escalated to large, low_confidence (mean_logprob: 0.710, threshold 0.9), status 200',
    '  document                 1.00 s  ────────────────────',
    '  queue.wait drafter       100 ms  ░░',
    '  draft small (2 tries)    200 ms    ████',
    '  hand-over                  0 ms        ░',
    '  queue.wait expert        200 ms        ░░░░',
    '  expert large             500 ms            ██████████',
    '  sequential wait: 500 ms before the expert began, 50 % of its time',
  ]);
});

test('an accepted document, one that failed, and one whose line says no more', () => {
  const accepted = {
    ...cascade,
    escalated: false,
    expert: null,
    drafter: { model: 'small', duration_ms: 9 },
    wait_ms: { drafter_queue: 1, hand_over: null, expert_queue: null, sequential: null, total: 10 },
  };
  const line = tracedLine.parse({ custom_id: 'a', response: { status_code: 200 }, error: null, cascade: accepted });
  assert.equal(waterfall(line).length, 4);
  const error = { code: 'request_timeout', message: 'late' };
  assert.match(
    waterfall(tracedLine.parse({ custom_id: 'a', response: null, error, cascade }))[0] ?? '',
    /request_timeout: late$/,
  );
  assert.match(waterfall(tracedLine.parse({ custom_id: 'a', response: null, error }))[0] ?? '', /does not say more/);
});
