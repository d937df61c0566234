import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NO_COUNTS } from './account.ts';
import { reportOf } from './report.ts';
import { Waits } from './waits.ts';

/** Ten documents, three of them escalated: a draft takes 10 ms, the expert 40 ms. */
function account() {
  const waits = new Waits();
  for (let at = 0; at < 10; at += 1) {
    const escalated = at < 3;
    waits.add({
      drafter: { queueMs: 5, callMs: 10 },
      handOverMs: escalated ? 1 : null,
      expert: escalated ? { queueMs: 4, callMs: 40 } : null,
      sequentialMs: escalated ? 20 : null,
      totalMs: escalated ? 60 : 15,
    });
  }
  const counts = {
    ...NO_COUNTS,
    completed: 9,
    failed: 1,
    accepted: 7,
    escalated: 3,
    draftNanoUsd: 1_000_000,
    expertNanoUsd: 3_000_000,
    wastedNanoUsd: 300_000,
    allExpertNanoUsd: 10_000_000,
  };
  return { total: 12, counts, waits };
}

test('a report says what was, what it cost, and what one model alone would have cost', () => {
  const report = reportOf(account());
  assert.deepEqual(report.documents, {
    total: 12,
    completed: 9,
    failed: 1,
    accepted: 7,
    escalated: 3,
    unfinished: 2,
  });
  assert.equal(report.escalated_share, 0.3);
  assert.equal(report.sequential_wait.ms.count, 3);
  assert.equal(report.sequential_wait.ms.mean, 20);
  assert.equal(report.sequential_wait.share_of_time, 0.3333);
  const parts = report.sequential_wait.mean_parts_ms;
  assert.deepEqual(parts, { drafter_queue: 5, draft: 10, hand_over: 1, expert_queue: 4 });
  assert.equal(report.wasted.drafter_seconds, 0.03);
  assert.deepEqual(report.counterfactuals, {
    cascade: { usd: 0.004, inference_seconds: 0.22, mean_inference_ms: 22 },
    all_expert: { usd: 0.01, inference_seconds: 0.4, mean_inference_ms: 40 },
    all_drafter: { usd: 0.001, inference_seconds: 0.1, mean_inference_ms: 10 },
  });
  assert.deepEqual(report.break_even, {
    time: { escalated_share: 0.75, pays: true },
    money: { escalated_share: 0.9, pays: true },
  });
});

test('a cascade that does not pay is told so; what is not known is null', () => {
  const { counts, ...rest } = account();
  const much = reportOf({ ...rest, counts: { ...counts, accepted: 1, escalated: 9 } });
  assert.deepEqual(much.break_even.time, { escalated_share: 0.75, pays: false });
  const none = reportOf({ total: 0, counts: NO_COUNTS, waits: new Waits() });
  assert.equal(none.escalated_share, null);
  assert.equal(none.sequential_wait.share_of_time, null);
  assert.deepEqual(none.break_even.time, { escalated_share: null, pays: null });
  assert.deepEqual(none.latency_ms.accepted, { count: 0, mean: null, p50: null, p95: null, p99: null });
  assert.equal(none.counterfactuals.all_expert.mean_inference_ms, null);
});
