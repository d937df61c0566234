import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Report } from '@spillway/core';
import { System, type ResultLine } from '../support/system.ts';

const reportOf = (system: System, id: string): Promise<Report & { status: string }> =>
  system.client.get(`/batches/${id}/report`);

const sum = (values: readonly number[]): number => values.reduce((all, value) => all + value, 0);

test('the report accounts for every document, during the run, after a wipe and at the end', async () => {
  await using system = await System.start({
    drafter: { latencyMs: 10 },
    expert: { latencyMs: 30 },
    models: { small: { max_tries: 3 } },
  });
  const prompts = Array.from({ length: 600 }, (_, at) =>
    at === 599
      ? '[[hang]]'
      : at % 4 === 0
        ? `[[drafter unsure]] ${at}`
        : at % 50 === 7
          ? `[[status 500 x1]] ${at}`
          : `${at}`,
  );
  const { id } = await system.submit(prompts);
  await system.settled(id, (batch) => batch.request_counts?.completed === 599);
  const during = await reportOf(system, id);
  assert.equal(during.status, 'in_progress');
  assert.deepEqual([during.documents.completed, during.documents.unfinished], [599, 1]);
  assert.equal(during.tiers.drafter.inference_ms.count, 599, 'sealed and open pages together');
  assert.equal(during.tiers.expert.inference_ms.count, 150);
  await system.redis.client.flushall();
  await system.settled(id, (batch) => batch.request_counts?.completed === 599);
  system.drafterModel.release();
  const batch = await system.settled(id);
  const report = await reportOf(system, id);
  assert.equal(report.status, 'completed');
  assert.deepEqual(report.documents, {
    total: 600,
    completed: 600,
    failed: 0,
    accepted: 450,
    escalated: 150,
    unfinished: 0,
  });
  const lines = await system.lines(batch.output_file_id);
  checkAgainst(report, lines);
});

/** The report against the lines of the output file, which say for each document where its time went. */
function checkAgainst(report: Report, lines: readonly ResultLine[]): void {
  type Told = {
    wait_ms: Record<string, number>;
    drafter: { duration_ms: number };
    expert: { duration_ms: number } | null;
  };
  const told = lines.map((line) => line.cascade as unknown as Told & { escalated: boolean });
  const escalated = told.filter((one) => one.escalated);
  const near = (found: number | null, values: readonly number[]): void => {
    const mean = sum(values) / values.length;
    assert.ok(found !== null && Math.abs(found - mean) <= 1, `${found} for ${mean}`);
  };
  const { sequential_wait: sequential, tiers, latency_ms: latency } = report;
  near(
    sequential.ms.mean,
    escalated.map((one) => one.wait_ms['sequential'] ?? Number.NaN),
  );
  near(
    tiers.drafter.inference_ms.mean,
    told.map((one) => one.drafter.duration_ms),
  );
  near(
    tiers.expert.inference_ms.mean,
    escalated.map((one) => one.expert?.duration_ms ?? Number.NaN),
  );
  near(
    latency.escalated.mean,
    escalated.map((one) => one.wait_ms['total'] ?? Number.NaN),
  );
  const parts = Object.values(sequential.mean_parts_ms).map((part) => part ?? Number.NaN);
  assert.ok(Math.abs(sum(parts) - (sequential.ms.mean ?? 0)) <= 5, 'the parts add up to the wait');
  for (const one of escalated) {
    const { drafter_queue: queue = 0, hand_over: handOver = 0, expert_queue: expertQueue = 0 } = one.wait_ms;
    const whole = queue + one.drafter.duration_ms + handOver + expertQueue;
    assert.ok(Math.abs(whole - (one.wait_ms['sequential'] ?? 0)) <= 5);
  }
  assert.ok(report.counterfactuals.all_expert.usd > 0);
  assert.equal(report.break_even.time.pays, 0.25 < (report.break_even.time.escalated_share ?? 0));
}
