import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dollars, range, seconds } from '@spillway/core/amounts';
import { endWords, progressLines, progressWords } from './progress-text.ts';
import type { BatchReport } from './report-object.ts';

const stage = (at: number, model: string, accepted: number, answered: number): BatchReport['stages'][number] => ({
  cascade: 'c',
  stage: at,
  model,
  role: at === 1 ? 'drafter' : 'expert',
  documents: { accepted, answered, escalated: 0, skipped: 0, failed: 0 },
  reasons: [],
  usd: 0,
});

const report: BatchReport = {
  id: 'batch_1',
  status: 'in_progress',
  model: 'c',
  warnings: [],
  progress: {
    elapsed_seconds: 20,
    documents_per_second: 24.61,
    left_seconds: { low: 1210, high: 2890 },
    at_risk: false,
    spent_usd: 1.921,
    projected_usd: { low: 4.61, high: 6.38 },
  },
  waiting: [],
  thresholds: [],
  audits: [],
  documents: {
    total: 1000,
    completed: 500,
    failed: 12,
    accepted: 380,
    escalated: 132,
    copied: 0,
    kept: 0,
    unfinished: 488,
  },
  escalated_share: 0.257,
  stages: [stage(1, 'small', 380, 0), stage(2, 'large', 0, 120)],
  failures: [],
  latency_ms: { accepted: { p50: 1, p95: 2 }, escalated: { p50: 1, p95: 2 } },
  counterfactuals: { cascade: { usd: 1 }, all_expert: { usd: 4 }, all_drafter: { usd: 0.1 } },
};
const plain = (_: string, text: string): string => text;

test('progress says how far, how fast, how long, who answered, what it costs and what holds it', () => {
  assert.deepEqual(progressLines(report, plain, 0), [
    '████████████▓▓▓░░░░░░░░░░░░░░░ 512 of 1,000 documents (51 %) · 25/s · 20–48 min left',
    '  small 380 · large 120 · failed 12  ·  $1.92 spent, $4.61–$6.38 in all',
  ]);
  const held = {
    ...report,
    progress: { ...report.progress, at_risk: true },
    waiting: [{ tier: 'expert.large', state: 'open', since: 1000, reason: 'it does not take the key (401)' }],
  };
  assert.deepEqual(progressLines(held, plain, 1_180_000).slice(2), [
    '  its window will probably be missed',
    '  expert.large waits (open): it does not take the key (401), for 3 min',
  ]);
});

test('before the validation and at the end it says so', () => {
  const none = {
    ...report,
    status: 'validating',
    documents: { ...report.documents, total: 0, completed: 0, failed: 0 },
  };
  assert.deepEqual(progressLines(none, plain, 0), [`${'░'.repeat(30)} the file is being validated`]);
  assert.equal(progressWords(none), 'the file is being validated');
  assert.equal(
    endWords({ ...report, status: 'expired' }),
    'batch_1 ended as expired · 500 of 1,000 documents answered · 500 without an answer · 25 % escalated · $1.92 spent · in 20 s',
  );
});

test('amounts are short', () => {
  assert.deepEqual([0, 0.00123, 0.5, 12.345, 12_345].map(dollars), ['$0', '$0.0012', '$0.50', '$12.35', '$12,345']);
  assert.deepEqual([3, 89, 90, 5_000, 9_000, 200_000].map(seconds), [
    '3 s',
    '89 s',
    '2 min',
    '83 min',
    '2.5 h',
    '2.3 d',
  ]);
  assert.equal(range('20 min', '48 min'), '20–48 min');
  assert.equal(range('50 s', '2 min'), '50 s–2 min');
});
