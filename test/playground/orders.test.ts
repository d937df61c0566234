import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import OpenAI from 'openai';
import { demoOrders, isCorrectOrder, readOrderAnswer } from '../../services/playground/src/documents/orders/index.ts';
import { readConfig } from '../../services/playground/src/server/config.ts';
import type { Playground } from '../support/playground.ts';
import { startPlayground } from '../support/playground.ts';

const EXPERT = 'spillway-orders-expert';
const MODELS = ['spillway-orders-drafter', EXPERT];

const orders = demoOrders(24, 7);
let playground: Playground;
let client: OpenAI;

before(async () => {
  playground = startPlayground(MODELS);
  const { port } = await playground.waitFor('ready');
  client = new OpenAI({ baseURL: `http://127.0.0.1:${port}/v1`, apiKey: 'none', maxRetries: 0 });
});

after(() => playground[Symbol.asyncDispose]());

type Body = OpenAI.ChatCompletionCreateParamsNonStreaming;

/** The bodies are written for every endpoint that takes messages; the client knows what a chat's must look like. */
const ask = async (model: string, body: object): Promise<string> => {
  const { choices } = await client.chat.completions.create({ ...(body as Body), model });
  return choices[0]?.message.content ?? '';
};

test('only the models that are asked for are loaded', async () => {
  const listed = await client.models.list();
  assert.deepEqual(
    listed.data.map((model) => model.id),
    MODELS,
  );
  await assert.rejects(ask('spillway-expert', orders[0]?.body ?? {}), { status: 404 });
});

test('without names the two of the quick start are loaded, and an unknown name is refused', () => {
  assert.deepEqual(readConfig({}).models, ['spillway-drafter', 'spillway-expert']);
  assert.deepEqual(readConfig({ SERVED_MODELS: '' }).models, readConfig({}).models);
  assert.deepEqual(readConfig({ SERVED_MODELS: ` ${EXPERT}, ${EXPERT}` }).models, [EXPERT]);
  assert.throws(() => readConfig({ SERVED_MODELS: 'qwen3' }), /SERVED_MODELS names qwen3; there are spillway-drafter,/);
});

test('the expert reads most of the orders rightly, many at once, with a schema that says no more than it was trained for', async () => {
  const answers = await Promise.all(orders.map(({ body }) => ask(EXPERT, body)));
  const right = orders.filter(({ truth }, i) => isCorrectOrder(answers[i] ?? '', truth)).length;
  assert.ok(right >= 0.75 * orders.length, `${right} of ${orders.length}`);
});

test('a value is asked for by going on from the JSON before it', async () => {
  const [order] = orders;
  const whole = await ask(EXPERT, order?.body ?? {});
  const said = readOrderAnswer(whole);
  for (const field of ['currency', 'total', 'due'] as const) {
    const opened = `"${field}":"`;
    const messages = [
      { role: 'user', content: order?.text },
      { role: 'assistant', content: whole.slice(0, whole.indexOf(opened) + opened.length) },
    ];
    const value = await ask(EXPERT, {
      messages,
      add_generation_prompt: false,
      continue_final_message: true,
      temperature: 0,
      stop: '"',
    });
    assert.equal(value, said?.[field]);
  }
});
