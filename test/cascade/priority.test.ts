import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openStageModel, runStage } from '@spillway/cascade';
import { priorityOf, readConfiguration, snapshotRules, type PriorityOrder } from '@spillway/core';
import { jobOf } from '../support/jobs.ts';
import { startModelServer } from '../support/model-server.ts';

const HOUR_MS = 3_600_000;

/** The priorities of the calls for a document: its own, those that it is judged by, and what is asked in its place. */
async function sentFor(order: PriorityOrder | null, nowMs: number | null) {
  await using server = await startModelServer({ role: 'drafter' });
  const read = readConfiguration(`models:
  small: { base_url: "${server.baseURL}", model: m${order === null ? '' : `, send_priority: ${order}`} }
  large: { base_url: "${server.baseURL}", model: l }
cascades:
  test:
    stages: [{ model: small, confidence: { signal: agreement, samples: 3 }, accept_at: 0.5 }, { model: large }]
`);
  assert.ok(read.kind === 'valid', JSON.stringify(read));
  const { configuration } = read;
  const rules = snapshotRules(configuration, new Map(), false)['test'];
  const spec = configuration.models['small'];
  assert.ok(rules !== undefined && spec !== undefined);
  const served = { name: 'small', spec, apiKey: null };
  const options = { role: 'drafter', configuration, propagates: false, onCall: () => undefined } as const;
  await using model = openStageModel(served, options);
  const body = { model: 'test', messages: [{ role: 'user', content: 'a' }], priority: -5 };
  const job = jobOf({ body, deadlineMs: Date.now() + HOUR_MS });
  const { signal } = new AbortController();
  const outcome = await runStage(model, { job, rules }, { signal, stalls: 0, ...(nowMs === null ? {} : { nowMs }) });
  assert.equal(outcome.kind, 'settle');
  assert.equal(await model.askControl({ endpoint: job.endpoint, like: job.body }, signal), null);
  const timeoutMs = model.timeoutMs;
  const { deadlineMs } = job;
  return { sent: server.requests.map((request) => request.body['priority']), call: { deadlineMs, timeoutMs } };
}

test('each call for a document has its priority, and what is asked in its place is before all that can wait', async () => {
  const nowMs = Date.now();
  for (const order of ['low_first', 'high_first'] as const) {
    const { sent, call } = await sentFor(order, nowMs);
    const own = priorityOf(order, { nowMs, ...call });
    assert.deepEqual(sent, [own, own, own, 0]);
  }
});

test('where somebody waits for the answer all is before that, and without the setting nothing is sent or replaced', async () => {
  assert.deepEqual((await sentFor('high_first', null)).sent, [0, 0, 0, 0]);
  const { sent } = await sentFor(null, Date.now());
  assert.deepEqual(sent.slice(0, 3), [-5, -5, -5]);
});
