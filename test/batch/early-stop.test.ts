import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject, Report } from '@spillway/core';
import { Collector } from '../support/collector.ts';
import type { Scripted } from '../support/model-server.ts';
import { System, until } from '../support/system.ts';

/** A piece of a streamed answer, a token with its log-prob. */
const piece = (text: string, logprob: number): string => {
  const token = { token: text, logprob, bytes: [...Buffer.from(text)], top_logprobs: [] };
  const choice: JsonObject = {
    index: 0,
    delta: { content: text },
    logprobs: { content: [token] },
    finish_reason: null,
  };
  return `data: ${JSON.stringify({ id: 'chatcmpl-1', object: 'chat.completion.chunk', model: 's', choices: [choice] })}\n\n`;
};

/** An answer that gets less sure than 0.8 within its second value, and never ends. */
const ENDLESS: Scripted = {
  kind: 'pieces',
  pieces: [piece('{"type": "', -0.01), piece('invoice', -0.1), piece('", "total": "', -0.01), piece('12', -0.5)],
  last: 'hang',
};

const SURE: Scripted = { kind: 'completion', text: '{"type": "invoice", "total": "7"}', logprobs: -0.001 };

test('a draft that cannot be accepted any more is given up while its server still writes it', async () => {
  await using collector = await Collector.start();
  await using system = await System.start({
    env: {
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      OTEL_BSP_SCHEDULE_DELAY: '100',
    },
    drafter: { answer: ({ body }) => (JSON.stringify(body).includes('hard') ? ENDLESS : SURE) },
  });
  const { id } = await system.submit(['easy', 'hard', 'easy as well'], {});
  const batch = await system.settled(id);
  assert.deepEqual(batch.request_counts, { total: 3, completed: 3, failed: 0 });
  const lines = await system.lines(batch.output_file_id);
  const hard = lines.find(({ custom_id }) => custom_id === 'doc-1');
  const [draft] = hard?.cascade?.stages ?? [];
  assert.deepEqual(
    [draft?.outcome, draft?.reason, draft?.score, draft?.confidence],
    ['escalated', 'low_confidence', null, null],
  );
  assert.deepEqual(draft?.stopped, { text: '{"type": "invoice", "total": "12', score_at_most: -0.5 });
  assert.equal(draft?.draft, undefined);
  assert.deepEqual(draft?.fields, { '/total': 0.6065, '/type': 0.9048 });
  assert.equal(draft?.usage.output_tokens, 4);
  assert.equal(draft?.usage.estimated, true);
  assert.ok((draft?.usage.input_tokens ?? 0) > 0, 'what was read is estimated by other calls');
  const easy = lines.find(({ custom_id }) => custom_id === 'doc-0');
  assert.equal(easy?.cascade?.stages[0]?.usage.estimated, undefined);
  await until(async () => system.drafterModel.inFlight === 0);
  const report: Report = await system.client.get(`/batches/${id}/report`);
  const { documents, output_tokens: tokens } = report.stages[0]?.stopped_early ?? assert.fail();
  assert.deepEqual([documents, tokens], [1, 4]);
  const stopped = () => collector.spans.filter(({ attributes }) => attributes['cascade.stopped_early'] === true);
  await until(async () => stopped().length === 2);
  assert.deepEqual(
    stopped().map(({ name }) => name.split(' ')[0]),
    ['draft', 'chat'],
  );
});
