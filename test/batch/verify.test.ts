import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CascadeAnnotation, Report } from '@spillway/core';
import { Collector } from '../support/collector.ts';
import { System, until } from '../support/system.ts';
import { callsOf, verifyingAnswer } from '../support/verifying-server.ts';

const invoice = (total: string): string => `{"type": "invoice", "currency": "GBP", "total": "${total}"}`;

test('drafts are verified on their way through the queues, which lines, report and traces show', async () => {
  await using collector = await Collector.start();
  const answer = verifyingAnswer({ answer: () => invoice('10.15') });
  await using system = await System.start({
    env: {
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      OTEL_BSP_SCHEDULE_DELAY: '100',
    },
    drafter: {
      answer: ({ body }) => {
        const isRight = JSON.stringify(body).includes('right');
        return { kind: 'completion', text: invoice(isRight ? '10.15' : '70.15'), logprobs: -1 };
      },
    },
    expert: { answer, check: answer },
    models: { large: { price: { input: 1, output: 10 } } },
    moreCascades: '  verified: { drafter: small, expert: large, accept_at: 0.8, ask: verify }\n',
  });
  const { id } = await system.submit(['right', 'wrong', 'wrong as well'], {
    model: 'verified',
    body: { temperature: 0 },
  });
  const batch = await system.settled(id);
  assert.deepEqual(batch.request_counts, { total: 3, completed: 3, failed: 0 });
  const lines = await system.lines(batch.output_file_id);
  for (const { response } of lines) {
    const [choice] = (response?.body as { choices?: { message: { content: string } }[] } | undefined)?.choices ?? [];
    assert.equal(choice?.message.content, invoice('10.15'));
  }
  const kept = [invoice('10.15').length, ...Array.from({ length: 2 }, () => invoice('').length - '"}'.length)];
  assert.deepEqual(
    lines.map(({ cascade }) => [cascade?.stages[1]?.ask, cascade?.stages[1]?.kept_characters]),
    kept.map((characters) => ['verify', characters]),
  );
  assert.deepEqual(callsOf(system.expertModel.requests).toSorted(), [
    'continuation',
    'continuation',
    'scoring',
    'scoring',
    'scoring',
  ]);
  const report: Report = await system.client.get(`/batches/${id}/report`);
  const { documents, whole, output_tokens: written, instead } = report.stages[1]?.reuse ?? assert.fail();
  assert.deepEqual([documents, whole], [3, 1]);
  assert.ok(written < instead.output_tokens / 2, `${written} tokens written instead of ${instead.output_tokens}`);
  assert.deepEqual(report.stages[1]?.asked_whole, []);

  // Who answers at once learns what the workers' check found of the expert's server.
  await until(async () => {
    const direct = await system.client.chat.completions.create({
      model: 'verified',
      messages: [{ role: 'user', content: 'wrong, and at once' }],
      temperature: 0,
    });
    assert.equal(direct.choices[0]?.message.content, invoice('10.15'));
    const { cascade } = direct as unknown as { cascade: CascadeAnnotation };
    return cascade.stages[1]?.ask === 'verify';
  });

  const calls = () =>
    collector.spans.filter(
      ({ attributes }) => attributes['cascade.batch.id'] === id && attributes['cascade.call.purpose'] !== undefined,
    );
  await until(async () => calls().length === 5);
  const of = (purpose: string) => calls().filter(({ attributes }) => attributes['cascade.call.purpose'] === purpose);
  assert.deepEqual([of('scoring').length, of('continuation').length], [3, 2]);
  for (const { attributes, name } of calls()) {
    assert.deepEqual([attributes['cascade.ask'], attributes['gen_ai.operation.name']], ['verify', 'chat']);
    assert.match(name, /^chat /);
  }
  const experts = collector.spans.filter(
    ({ name, attributes }) => name === 'expert' && attributes['cascade.batch.id'] === id,
  );
  assert.deepEqual(new Set(experts.map(({ attributes }) => attributes['cascade.kept_characters'])), new Set(kept));
});

test('before an expert whose server cannot score, nothing is lost but what it would have saved', async () => {
  await using system = await System.start({
    drafter: { answer: () => ({ kind: 'completion', text: invoice('70.15'), logprobs: -1 }) },
    expert: { answer: () => ({ kind: 'completion', text: invoice('10.15') }) },
    moreCascades: '  verified: { drafter: small, expert: large, accept_at: 0.8, ask: verify }\n',
  });
  const { id } = await system.submit(['one', 'two'], { model: 'verified', body: { temperature: 0 } });
  const batch = await system.settled(id);
  const lines = await system.lines(batch.output_file_id);
  assert.deepEqual(
    lines.map(({ cascade }) => [cascade?.stages[1]?.ask, cascade?.stages[1]?.ask_reason]),
    [
      ['answer', 'not_scored'],
      ['answer', 'not_scored'],
    ],
  );
  const report: Report = await system.client.get(`/batches/${id}/report`);
  assert.deepEqual(report.stages[1]?.asked_whole, [{ reason: 'not_scored', count: 2 }]);
  const expert = system.services.find(({ name }) => name === 'expert');
  const told = expert?.lines.filter(({ msg }) => msg === 'drafts are not made use of') ?? [];
  assert.equal(told.length, 1, 'it is told once');
});
