import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CascadeAnnotation, Report } from '@spillway/core';
import { Collector } from '../support/collector.ts';
import { System, until } from '../support/system.ts';
import { isVerdictCall, says, verdictCallsOf } from '../support/verdict-server.ts';
import type { ModelRequest, Scripted } from '../support/model-server.ts';

const VERDICTS =
  '  judged: { drafter: small, expert: large, accept_at: 0.8, ask: verdict, verdict: { accept_at: 0.9 } }\n';

/** Sure of drafts about what is right, unsure of others. */
const answer = ({ body }: Pick<ModelRequest, 'body'>): Scripted => {
  if (!isVerdictCall(body)) return { kind: 'completion', text: 'the answer of the expert' };
  const prompt = JSON.stringify((body['messages'] as object[])[0]);
  return prompt.includes('odd') ? says('Hm', 0.9) : prompt.includes('right') ? says('Y', 0.97) : says('N', 0.8);
};

const textOf = (body: unknown): string | undefined =>
  (body as { choices?: { message: { content: string } }[] } | undefined)?.choices?.[0]?.message.content;

test('drafts are judged by the expert on their way through the queues, which lines, report and traces show', async () => {
  await using collector = await Collector.start();
  await using system = await System.start({
    env: {
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      OTEL_BSP_SCHEDULE_DELAY: '100',
    },
    drafter: {
      answer: ({ body }) => ({
        kind: 'completion',
        text: 'the draft of small',
        logprobs: JSON.stringify(body).includes('sure') ? -0.01 : -2,
      }),
    },
    expert: { answer },
    models: { large: { price: { input: 1, output: 10 } } },
    moreCascades: VERDICTS,
  });
  const prompts = ['sure', 'this is right', 'this is right, too', 'this is wrong', 'this is odd'];
  const { id } = await system.submit(prompts, { model: 'judged' });
  const batch = await system.settled(id);
  assert.deepEqual(batch.request_counts, { total: 5, completed: 5, failed: 0 });
  const lines = await system.lines(batch.output_file_id);
  const [draft, own] = ['the draft of small', 'the answer of the expert'];
  assert.deepEqual(
    lines.map(({ response }) => textOf(response?.body)),
    [draft, draft, draft, own, own],
  );
  assert.deepEqual(
    lines.map(({ cascade }) => [cascade?.stage, cascade?.model, cascade?.role, cascade?.by]),
    [
      [1, 'small', 'drafter', undefined],
      [1, 'small', 'drafter', 'verdict'],
      [1, 'small', 'drafter', 'verdict'],
      [2, 'large', 'expert', undefined],
      [2, 'large', 'expert', undefined],
    ],
  );
  assert.deepEqual(
    lines.slice(1).map(({ cascade }) => [cascade?.stages[1]?.ask, cascade?.stages[1]?.outcome]),
    [
      ['verdict', 'accepted'],
      ['verdict', 'accepted'],
      ['verdict', 'answered'],
      ['answer', 'answered'],
    ],
  );
  assert.ok(lines.every(({ cascade }) => cascade?.stages[1] === undefined || cascade.stages[1].attempts === 1));
  assert.deepEqual(verdictCallsOf(system.expertModel.requests).toSorted(), [
    ...Array.from({ length: 2 }, () => 'answer'),
    ...Array.from({ length: 4 }, () => 'verdict'),
  ]);

  const report: Report = await system.client.get(`/batches/${id}/report`);
  const [first, second] = report.stages;
  assert.deepEqual([report.documents.accepted, report.documents.escalated], [3, 4]);
  assert.deepEqual(first?.documents, { accepted: 1, escalated: 4, skipped: 0, answered: 0, failed: 0, kept: 0 });
  assert.deepEqual(second?.documents, { accepted: 2, escalated: 0, skipped: 0, answered: 2, failed: 0, kept: 0 });
  assert.deepEqual([second?.ask, second?.calibrated], ['verdict', false]);
  assert.deepEqual([second?.reuse.documents, second?.reuse.whole], [3, 2]);
  assert.deepEqual(second?.asked_whole, [{ reason: 'verdict_failed', count: 1 }]);
  const wasted = lines
    .slice(3)
    .reduce((sum, { cascade }) => sum + (cascade?.stages[0]?.usage.output_tokens ?? Number.NaN), 0);
  assert.equal(report.wasted.output_tokens, wasted, 'a draft that is final by a verdict is not wasted');

  const direct = await system.client.chat.completions.create({
    model: 'judged',
    messages: [{ role: 'user', content: 'this is right, and at once' }],
  });
  assert.equal(textOf(direct), draft);
  assert.equal((direct as unknown as { cascade: CascadeAnnotation }).cascade.by, 'verdict');
  const stream = await system.client.chat.completions.create({
    model: 'judged',
    messages: [{ role: 'user', content: 'this is right, in pieces' }],
    stream: true,
  });
  let streamed = '';
  for await (const { choices } of stream) streamed += choices[0]?.delta.content ?? '';
  assert.equal(streamed, draft, 'it comes as an accepted draft does');

  const ofBatch = () => collector.spans.filter(({ attributes }) => attributes['cascade.batch.id'] === id);
  const calls = () => ofBatch().filter(({ attributes }) => attributes['cascade.call.purpose'] !== undefined);
  await until(async () => calls().length === 6);
  const of = (purpose: string) => calls().filter(({ attributes }) => attributes['cascade.call.purpose'] === purpose);
  assert.deepEqual([of('verdict').length, of('whole_answer').length], [4, 2]);
  const roots = ofBatch().filter(({ name, attributes }) => name === 'document' && attributes['cascade.escalated']);
  assert.deepEqual(roots.map(({ attributes }) => String(attributes['cascade.final_stage'])).toSorted(), [
    '1',
    '1',
    '2',
    '2',
  ]);
  const judged = roots.filter(({ attributes }) => Number(attributes['cascade.final_stage']) === 1);
  for (const { attributes } of judged) {
    assert.equal(attributes['cascade.confidence.signal'], 'self_assessment');
    assert.ok(Math.abs(Number(attributes['cascade.confidence.value']) - 0.97) < 1e-6);
  }

  // Decided anew: verdicts stand with their drafts, and only who was not asked about gets one.
  system.drafterModel.requests.length = 0;
  system.expertModel.requests.length = 0;
  const stagesBy = async (from: string, ...acceptAt: readonly number[]) => {
    const body = { accept_at: acceptAt };
    const made = await system.client.post<typeof batch>(`/batches/${from}/redecide`, { body });
    const { output_file_id: output } = await system.settled(made.id);
    return (await system.lines(output)).map(({ cascade }) => cascade?.by ?? cascade?.stage);
  };
  assert.deepEqual(await stagesBy(id, 0, 0.9), [1, 1, 1, 1, 1]);
  assert.deepEqual(await stagesBy(id, 0.99, 0.9), [2, 'verdict', 'verdict', 2, 2]);
  assert.deepEqual(verdictCallsOf(system.expertModel.requests).toSorted(), ['answer', 'verdict']);
  assert.equal(system.drafterModel.requests.length, 0);
});

test('a worker that dies between a verdict and the answer: both are asked for again, and one result counts', async () => {
  let hangs = true;
  await using system = await System.start({
    drafter: { answer: () => ({ kind: 'completion', text: 'the draft of small', logprobs: -2 }) },
    expert: { answer: (asked) => (hangs && !isVerdictCall(asked.body) ? { kind: 'hang' } : answer(asked)) },
    moreCascades: VERDICTS,
  });
  const { id } = await system.submit(['this is wrong'], { model: 'judged' });
  await system.expertModel.waitForRequests(2);
  const expert = system.services.find(({ name }) => name === 'expert') ?? assert.fail();
  await expert.kill();
  hangs = false;
  await system.run('expert');
  const batch = await system.settled(id, undefined, 120_000);
  assert.deepEqual(batch.request_counts, { total: 1, completed: 1, failed: 0 });
  const [line, ...others] = await system.lines(batch.output_file_id);
  assert.equal(others.length, 0);
  assert.equal(textOf(line?.response?.body), 'the answer of the expert');
  assert.equal(line?.cascade?.stages[1]?.attempts, 1, 'what was lost used up no attempt');
  const verdict = { ...line.cascade.stages[1] };
  assert.deepEqual([verdict.ask, verdict.outcome], ['verdict', 'answered']);
  assert.deepEqual(verdictCallsOf(system.expertModel.requests), ['verdict', 'answer', 'verdict', 'answer']);
});
