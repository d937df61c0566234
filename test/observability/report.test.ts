import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Report } from '@spillway/core';
import { requestLine } from '../support/request-line.ts';
import { System, type ResultLine } from '../support/system.ts';

const reportOf = (system: System, id: string): Promise<Report & { status: string }> =>
  system.client.get(`/batches/${id}/report`);

const sum = (values: readonly number[]): number => values.reduce((all, value) => all + value, 0);

test('the report accounts for every document, during the run, after a wipe and at the end', async () => {
  await using system = await System.start({
    drafter: { latencyMs: 10 },
    expert: { latencyMs: 30 },
    models: { small: { max_attempts: 3 } },
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
  assert.deepEqual(
    during.stages.map(({ cascade, stage, model, role, ask }) => [cascade, stage, model, role, ask]),
    [
      ['test', 1, 'small', 'drafter', 'answer'],
      ['test', 2, 'large', 'expert', 'answer'],
    ],
  );
  assert.equal(during.stages[0]?.inference_ms.count, 599, 'sealed and open pages together');
  assert.equal(during.stages[1]?.inference_ms.count, 150);
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
    copied: 0,
    kept: 0,
    unfinished: 0,
  });
  const [drafter, expert] = report.stages;
  const none = { accepted: 0, escalated: 0, skipped: 0, answered: 0, failed: 0, kept: 0 };
  assert.deepEqual(drafter?.documents, { ...none, accepted: 450, escalated: 150 });
  assert.deepEqual(expert?.documents, { ...none, answered: 150 });
  assert.deepEqual(drafter?.reasons, [{ reason: 'low_confidence', count: 150, said: null }]);
  assert.deepEqual([expert?.reasons, report.failures], [[], []]);
  const lines = await system.lines(batch.output_file_id);
  checkAgainst(report, lines);
});

test('a report of three stages says what each of them did and cost', async () => {
  await using system = await System.start({
    middle: {},
    models: {
      small: { price: { input: 1, output: 2 } },
      medium: { price: { input: 10, output: 20 } },
      large: { price: { input: 100, output: 200 }, max_attempts: 1 },
    },
  });
  const prompts = Array.from({ length: 60 }, (_, at) =>
    at % 3 === 0
      ? `sure ${at}`
      : at % 3 === 1
        ? `[[drafter unsure]] ${at}`
        : `[[drafter unsure]] [[middle unsure]] ${at === 59 ? '[[expert status 500]] ' : ''}${at}`,
  );
  const { id } = await system.submit(prompts);
  const batch = await system.settled(id);
  const report = await reportOf(system, id);
  const none = { accepted: 0, escalated: 0, skipped: 0, answered: 0, failed: 0, kept: 0 };
  assert.deepEqual(
    report.stages.map(({ stage, model, role, documents }) => [stage, model, role, documents]),
    [
      [1, 'small', 'drafter', { ...none, accepted: 20, escalated: 40 }],
      [2, 'medium', 'drafter', { ...none, accepted: 20, escalated: 20 }],
      [3, 'large', 'expert', { ...none, answered: 19, failed: 1 }],
    ],
  );
  assert.deepEqual([report.documents.accepted, report.documents.escalated], [40, 40]);
  assert.deepEqual(
    report.stages.map(({ inference_ms }) => inference_ms.count),
    [60, 40, 20],
  );
  const lines = [...(await system.lines(batch.output_file_id)), ...(await system.lines(batch.error_file_id))];
  const stages = lines.flatMap(({ cascade }) => cascade?.stages ?? []);
  for (const { model, input_tokens: input, output_tokens: output, usd } of report.stages) {
    const own = stages.filter((one) => one.model === model).map(({ usage }) => usage);
    assert.equal(input, sum(own.map((usage) => usage.input_tokens)), model);
    assert.equal(output, sum(own.map((usage) => usage.output_tokens)), model);
    const price = { small: 1, medium: 10, large: 100 }[model] ?? 0;
    assert.ok(Math.abs(usd - ((input + 2 * output) * price) / 1e6) < 1e-9, model);
  }
  assert.ok(Math.abs(report.counterfactuals.cascade.usd - sum(report.stages.map(({ usd }) => usd))) < 1e-9);
  const wasted = sum(
    lines.flatMap(({ cascade }) => (cascade?.stages ?? []).slice(0, -1).map(({ usage }) => usage.output_tokens)),
  );
  assert.equal(report.wasted.output_tokens, wasted);
  const parts = report.sequential_wait.mean_parts_ms;
  assert.deepEqual(
    parts.map(({ stage, queue, call, hand_off }) => [stage, queue !== null, call !== null, hand_off !== null]),
    [
      [1, true, true, true],
      [2, true, true, true],
      [3, true, false, false],
    ],
  );
  assert.equal(report.break_even.time.escalated_share, null, 'there is no such share for three stages');
});

test('a report of cascades that share a model accounts for each of them, and names only those that the documents do', async () => {
  await using system = await System.start({
    moreCascades:
      '  other: { drafter: small, expert: large, accept_at: 1 }\n  unused: { drafter: small, expert: large, accept_at: 1 }',
  });
  const text = ['test', 'other', 'other'].map((model, at) => requestLine(`${at}`, `doc-${at}`, { model })).join('\n');
  const file = await system.client.files.create({ file: new File([`${text}\n`], 'a.jsonl'), purpose: 'batch' });
  const order = { input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h' } as const;
  const { id } = await system.client.batches.create(order);
  const batch = await system.settled(id);
  assert.equal(batch.model, null);
  const { stages } = await reportOf(system, id);
  assert.deepEqual(
    stages.map(({ cascade, stage, documents }) => [cascade, stage, documents.accepted + documents.answered]),
    [
      ['other', 1, 0],
      ['other', 2, 2],
      ['test', 1, 1],
      ['test', 2, 0],
    ],
  );
});

/** The report against the lines of the output file, which say for each document where its time went. */
function checkAgainst(report: Report, lines: readonly ResultLine[]): void {
  const annotations = lines.flatMap(({ cascade }) => (cascade === undefined ? [] : [cascade]));
  assert.equal(annotations.length, lines.length);
  const escalated = annotations.filter((one) => one.escalated);
  const callOf = (at: number) => (one: (typeof annotations)[number]) => one.stages[at]?.wait_ms.call ?? Number.NaN;
  const near = (found: number | null | undefined, values: readonly number[]): void => {
    const mean = sum(values) / values.length;
    assert.ok(typeof found === 'number' && Math.abs(found - mean) <= 1, `${found} for ${mean}`);
  };
  const { sequential_wait: sequential, stages, latency_ms: latency } = report;
  near(
    sequential.ms.mean,
    escalated.map((one) => one.wait_ms.sequential ?? Number.NaN),
  );
  near(stages[0]?.inference_ms.mean, annotations.map(callOf(0)));
  near(stages[1]?.inference_ms.mean, escalated.map(callOf(1)));
  near(
    latency.escalated.mean,
    escalated.map((one) => one.wait_ms.total ?? Number.NaN),
  );
  const [drafter, expert] = sequential.mean_parts_ms;
  const parts = [drafter?.queue, drafter?.call, drafter?.hand_off, expert?.queue].map((part) => part ?? Number.NaN);
  assert.ok(Math.abs(sum(parts) - (sequential.ms.mean ?? 0)) <= 5, 'the parts add up to the wait');
  for (const one of escalated) {
    const [draft, answer] = one.stages.map((stage) => stage.wait_ms);
    const own = [draft?.queue, draft?.call, draft?.hand_off, answer?.queue].map((part) => part ?? Number.NaN);
    assert.ok(Math.abs(sum(own) - (one.wait_ms.sequential ?? 0)) <= 5);
  }
  assert.ok(report.counterfactuals.all_expert.usd > 0);
  assert.equal(report.break_even.time.pays, 0.25 < (report.break_even.time.escalated_share ?? 0));
}
