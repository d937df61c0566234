import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { isJsonObject, type JsonObject } from '@spillway/core';
import { toFile } from 'openai';
import type { ModelRequest, Scripted } from '../support/model-server.ts';
import { System } from '../support/system.ts';
import { wholeResults } from '../support/whole.ts';

/** A file whose requests suit one server and not the other. */
const CASE = new URL('../support/cases/max-tokens-for-two-servers.jsonl', import.meta.url);

/** Answers as OpenAI's reasoning models do: fields that others take are refused. */
function likeReasoningModel({ body }: ModelRequest): Scripted {
  const refused = ['max_tokens', 'chat_template_kwargs'].find((field) => field in body);
  const { temperature } = body;
  const field = refused ?? (temperature !== undefined && temperature !== 1 ? 'temperature' : null);
  if (field === null) return { kind: 'completion', text: 'four' };
  const message = `Unsupported parameter: '${field}' is not supported with this model.`;
  return { kind: 'status', status: 400, body: { error: { message, type: 'invalid_request_error', param: field } } };
}

test('one file serves two servers that take different fields: renamed, dropped, by default and in any case', async () => {
  await using system = await System.start({
    drafter: { answer: () => ({ kind: 'completion', text: 'four', logprobs: -2 }) },
    expert: { answer: likeReasoningModel },
    models: {
      small: { request: { default: { top_p: 0.9 }, override: { chat_template_kwargs: { enable_thinking: false } } } },
      large: {
        rename: { max_tokens: 'max_completion_tokens' },
        drop: ['temperature', 'chat_template_kwargs', 'logit_bias'],
        request: { default: { reasoning_effort: 'low' }, override: { service_tier: 'flex' } },
      },
    },
  });
  const text = (await readFile(CASE, 'utf8')).replaceAll('"model": "check"', '"model": "test"');
  const input = await toFile(Buffer.from(text), 'case.jsonl');
  const file = await system.client.files.create({ file: input, purpose: 'batch' });
  const created = await system.client.batches.create({
    input_file_id: file.id,
    endpoint: '/v1/chat/completions',
    completion_window: '24h',
  });
  const batch = await system.settled(created.id);
  const ids = text
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { custom_id: string }).custom_id);
  const { output } = await wholeResults(system, batch, ids);
  assert.equal(output.length, ids.length, 'every escalated document is answered');
  assert.ok(output.every(({ cascade }) => cascade?.role === 'expert'));
  for (const { body } of system.expertModel.requests) {
    assert.deepEqual([body['reasoning_effort'], body['service_tier']], ['low', 'flex']);
    assert.ok(!('max_tokens' in body) && !('logit_bias' in body), 'token ids mean other tokens there');
  }
  for (const { body } of system.drafterModel.requests) {
    assert.equal(body['top_p'], 0.9);
    const template = body['chat_template_kwargs'];
    assert.ok(isJsonObject(template) && template['enable_thinking'] === false, 'merged into what the client said');
  }
});

test('a stage has settings over its model’s, a text that it says first, and a place in its server’s queue', async () => {
  const asked: JsonObject[] = [];
  await using system = await System.start({
    expert: {
      answer: ({ body }) => {
        asked.push(body);
        return { kind: 'completion', text: 'four' };
      },
    },
    models: {
      small: { timeout_s: 300, send_priority: 'low_first' },
      large: { timeout_s: 300, request: { default: { temperature: 0.5, seed: 1 } }, send_priority: 'high_first' },
    },
    moreCascades: `  careful:
    stages:
      - { model: small, accept_at: 1, system: 'Answer briefly.' }
      - { model: large, system: 'You correct drafts.', request: { default: { temperature: 0.1 } } }`,
  });
  const chat = await system.submit(['[[drafter unsure]] a'], { model: 'careful' });
  const responses = await system.submit(['[[drafter unsure]] b'], { model: 'careful', endpoint: '/v1/responses' });
  const plain = await system.submit(['[[drafter unsure]] c'], { window: '5m', body: { priority: -1e9 } });
  for (const { id } of [chat, responses, plain]) assert.equal((await system.settled(id)).status, 'completed');
  const byInput = (text: string) => asked.find((body) => JSON.stringify(body).includes(text));
  assert.deepEqual(byInput('] a')?.['messages'], [
    { role: 'system', content: 'You correct drafts.' },
    { role: 'user', content: '[[drafter unsure]] a' },
  ]);
  assert.deepEqual([byInput('] a')?.['temperature'], byInput('] a')?.['seed']], [0.1, 1]);
  assert.equal(byInput('] b')?.['instructions'], 'You correct drafts.');
  assert.equal(byInput('] c')?.['temperature'], 0.5, 'another cascade has the model’s own');
  assert.equal(JSON.stringify(byInput('] c')).includes('correct drafts'), false);
  const spoken = system.drafterModel.requests.map(({ body }) => JSON.stringify(body));
  assert.ok(spoken.some((body) => body.includes('Answer briefly.')));
  // One may wait a minute for others, one that is due in five minutes for as many seconds; one is for now.
  const draftOf = (text: string) =>
    system.drafterModel.requests.find(({ body }) => JSON.stringify(body).includes(text));
  const tens = Date.now() / 10_000;
  for (const [text, atMost] of [
    ['] a', 6],
    ['] b', 6],
    ['] c', 1],
  ] as const) {
    const [draft, answer] = [draftOf(text)?.body['priority'], byInput(text)?.['priority']].map(Number);
    assert.ok(draft !== undefined && Math.abs(draft - tens - atMost) < 3, `${text} ${draft} at ${tens}`);
    assert.ok(answer !== undefined && Math.abs(-answer - tens - atMost) < 3, `${text} ${answer} at ${tens}`);
  }
  assert.ok(Number(draftOf('] c')?.body['priority']) < Number(draftOf('] a')?.body['priority']), 'it is due sooner');
  await system.client.chat.completions.create({
    model: 'careful',
    messages: [{ role: 'user', content: '[[drafter unsure]] d' }],
  });
  assert.deepEqual([draftOf('] d')?.body['priority'], byInput('] d')?.['priority']], [0, 0]);
});

test('cached tokens are charged at their own price, in the report, the lines and the cap', async () => {
  const usage = { prompt_tokens: 1_000, completion_tokens: 10, prompt_tokens_details: { cached_tokens: 900 } };
  await using system = await System.start({
    drafter: { answer: () => ({ kind: 'completion', text: 'four', usage: { ...usage } }) },
    models: { small: { price: { input: 10, cached_input: 1, output: 100 } } },
  });
  const { id } = await system.submit(['a', 'b']);
  const batch = await system.settled(id);
  const each = (100 * 10 + 900 * 1 + 10 * 100) / 1e6;
  const report: { stages: { usd: number; cached_tokens: number }[] } = await system.client.get(`/batches/${id}/report`);
  assert.ok(Math.abs((report.stages[0]?.usd ?? 0) - 2 * each) < 1e-9);
  assert.equal(report.stages[0]?.cached_tokens, 1_800);
  assert.equal(batch.usage?.input_tokens_details.cached_tokens, 1_800);
  const [line] = await system.lines(batch.output_file_id);
  assert.deepEqual(line?.cascade?.stages[0]?.usage, { input_tokens: 1_000, cached_tokens: 900, output_tokens: 10 });

  // At the full price the first document alone would have reached the cap.
  const capped = await system.client.batches.create({
    input_file_id: batch.input_file_id,
    endpoint: '/v1/chat/completions',
    completion_window: '24h',
    metadata: { 'spillway.max_usd': '0.009' },
  });
  assert.equal((await system.settled(capped.id)).request_counts?.completed, 2);
});
