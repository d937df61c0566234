import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openModelCheck } from '@spillway/cascade';
import OpenAI from 'openai';
import { demoDocuments, isCorrect } from '../../services/playground/src/documents/index.ts';
import { configurationOf } from '../api/api-under-test.ts';
import { readingsOf, readPanels } from '../support/panels.ts';
import type { Playground } from '../support/playground.ts';
import { startPlayground } from '../support/playground.ts';
import { lacksPrometheus, Prometheus, scrapeOf, still } from '../support/prometheus.ts';

const MODELS = ['spillway-drafter', 'spillway-expert'];

const documents = demoDocuments(24, 7);
const [first] = documents;
if (first === undefined) throw new Error('a bundle of 24 has a first document');
const { text } = first;
let playground: Playground;
let client: OpenAI;
let base: string;

before(async () => {
  playground = startPlayground();
  const { port } = await playground.waitFor('ready');
  base = `http://127.0.0.1:${port}/v1`;
  client = new OpenAI({ baseURL: base, apiKey: 'none', maxRetries: 0 });
});

after(() => playground[Symbol.asyncDispose]());

async function post(
  path: string,
  body: unknown,
): Promise<{ status: number; headers: Headers; body: Record<string, unknown> }> {
  const response = await fetch(`${base}${path}`, {
    method: 'POST',
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  return {
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as Record<string, unknown>,
  };
}

/** The scored tokens of a prompt, as vLLM writes them: the first entry of each is the prompt's own token. */
function ownLogprobs(promptLogprobs: unknown): number[] {
  return (promptLogprobs as (Record<string, { logprob: number }> | null)[])
    .slice(1)
    .map((entry) => Object.values(entry ?? {})[0]?.logprob ?? Number.NaN);
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);

async function readAnswer(model: string): Promise<{ content: string; logprobs: number[]; bytes: number[] }> {
  const { choices } = await client.chat.completions.create({
    model,
    messages: [{ role: 'user', content: text }],
    temperature: 0,
    logprobs: true,
    top_logprobs: 3,
  });
  const entries = choices[0]?.logprobs?.content ?? [];
  for (const entry of entries) {
    assert.equal(entry.top_logprobs.length, 3);
    assert.equal(entry.top_logprobs[0]?.logprob, entry.logprob, 'greedy takes the likeliest');
  }
  return {
    content: choices[0]?.message.content ?? '',
    logprobs: entries.map((entry) => entry.logprob),
    bytes: entries.flatMap((entry) => entry.bytes ?? []),
  };
}

test('both models are listed, and found by name', async () => {
  const listed = await client.models.list();
  assert.deepEqual(
    listed.data.map((model) => model.id),
    MODELS,
  );
  assert.equal((await client.models.retrieve('spillway-expert')).id, 'spillway-expert');
});

test('the log-probs of an answer cover its bytes and agree with scoring it in one pass', async () => {
  for (const model of MODELS) {
    const { content, logprobs, bytes } = await readAnswer(model);
    assert.equal(Buffer.from(bytes).toString('utf8'), content);
    assert.ok(logprobs.every((logprob) => logprob <= 0));
    const chat = await post('/chat/completions', {
      model,
      messages: [
        { role: 'user', content: text },
        { role: 'assistant', content },
      ],
      add_generation_prompt: false,
      continue_final_message: true,
      prompt_logprobs: 0,
      max_tokens: 1,
    });
    assert.equal(chat.status, 200);
    const scored = ownLogprobs(chat.body['prompt_logprobs']).slice(-logprobs.length);
    assert.ok(Math.abs(sum(scored) - sum(logprobs)) < 1e-3, `${sum(scored)} is not ${sum(logprobs)}`);
    const prompt = `<|user|>${text}<|assistant|>${content}`;
    const echoed = await client.completions.create({ model, prompt, echo: true, logprobs: 0, max_tokens: 0 });
    const tokenLogprobs = echoed.choices[0]?.logprobs?.token_logprobs ?? [];
    assert.equal(echoed.choices[0]?.text, prompt);
    assert.equal(tokenLogprobs[0], null);
    assert.ok(Math.abs(sum(tokenLogprobs.slice(-logprobs.length)) - sum(logprobs)) < 1e-3);
  }
});

test('an answer goes on from an accepted start', async () => {
  const { content } = await readAnswer('spillway-expert');
  // What a model accepts of a draft ends between two of its tokens, and `","` is one.
  const start = content.slice(0, content.indexOf(',') + 2);
  const continued = await post('/chat/completions', {
    model: 'spillway-expert',
    messages: [
      { role: 'user', content: text },
      { role: 'assistant', content: start },
    ],
    add_generation_prompt: false,
    continue_final_message: true,
    echo: true,
    temperature: 0,
  });
  const [choice] = continued.body['choices'] as { message: { content: string } }[];
  assert.ok(choice?.message.content.startsWith(start));
  assert.ok(JSON.parse(choice?.message.content ?? ''));
});

test('the expert reads most of the demo documents rightly, many at once', async () => {
  const answers = await Promise.all(
    documents.map(async ({ body, truth }) => {
      const { choices, usage } = await client.chat.completions.create({
        model: 'spillway-expert',
        ...body,
        messages: [...body.messages],
      });
      assert.equal(usage?.total_tokens, (usage?.prompt_tokens ?? 0) + (usage?.completion_tokens ?? 0));
      assert.equal(choices[0]?.finish_reason, 'stop');
      return isCorrect(choices[0]?.message.content ?? '', truth);
    }),
  );
  assert.ok(
    answers.filter(Boolean).length >= 0.75 * answers.length,
    `${answers.filter(Boolean).length} of ${answers.length}`,
  );
});

test('answers do not depend on who is in the batch', async () => {
  const ask = async (content: string): Promise<string> => {
    const { choices } = await client.chat.completions.create({
      model: 'spillway-drafter',
      messages: [{ role: 'user', content }],
      temperature: 0,
    });
    return choices[0]?.message.content ?? '';
  };
  const oneByOne: string[] = [];
  for (const document of documents) oneByOne.push(await ask(document.text));
  assert.deepEqual(await Promise.all(documents.map((document) => ask(document.text))), oneByOne);
});

test('a seed repeats n different answers, at a temperature', async () => {
  const ask = async (seed: number): Promise<string[]> => {
    const { choices } = await client.chat.completions.create({
      model: 'spillway-drafter',
      messages: [{ role: 'user', content: text }],
      n: 4,
      seed,
      temperature: 2,
      max_tokens: 24,
    });
    return choices.map((choice) => choice.message.content ?? '');
  };
  const one = await ask(11);
  assert.equal(one.length, 4);
  assert.ok(new Set(one).size > 1);
  assert.deepEqual(await ask(11), one);
  assert.notDeepEqual(await ask(12), one);
});

test('a stop string ends the answer before it, and the log-probs with it', async () => {
  const { choices } = await client.chat.completions.create({
    model: 'spillway-expert',
    messages: [{ role: 'user', content: text }],
    temperature: 0,
    stop: ['currency'],
    logprobs: true,
  });
  const content = choices[0]?.message.content ?? '';
  assert.match(content, /^\{"type":"[a-z_]+","$/);
  assert.equal(choices[0]?.finish_reason, 'stop');
  assert.equal(choices[0]?.logprobs?.content?.map((entry) => entry.token).join(''), content);
});

test('max_completion_tokens ends the answer for its length', async () => {
  const { choices, usage } = await client.chat.completions.create({
    model: 'spillway-expert',
    messages: [{ role: 'user', content: text }],
    max_completion_tokens: 3,
  });
  assert.equal(choices[0]?.finish_reason, 'length');
  assert.equal(usage?.completion_tokens, 3);
});

test('a limit beyond the context is cut to what is left of it', async () => {
  const messages = [{ role: 'user' as const, content: text }];
  const whole = await readAnswer('spillway-expert');
  for (const limit of [{ max_tokens: 320 }, { max_completion_tokens: 1e9 }]) {
    const { choices } = await client.chat.completions.create({
      model: 'spillway-expert',
      messages,
      temperature: 0,
      ...limit,
    });
    assert.equal(choices[0]?.finish_reason, 'stop');
    assert.equal(choices[0]?.message.content, whole.content);
  }
  const full = await client.completions.create({
    model: 'spillway-expert',
    prompt: Array.from({ length: 319 }, () => 40),
    max_tokens: 16,
    temperature: 2,
    seed: 3,
  });
  assert.equal(full.usage?.completion_tokens, 1, 'the context has 320 tokens');
  const none = await post('/completions', { model: 'spillway-expert', prompt: Array.from({ length: 320 }, () => 40) });
  assert.equal(none.status, 400);
  assert.equal((none.body['error'] as { code: string }).code, 'context_length_exceeded');
});

test('tools are refused in plain words, and their absence is fine', async () => {
  const asked = { model: 'spillway-drafter', messages: [{ role: 'user', content: text }], max_tokens: 1 };
  const definition = { name: 'look_up', parameters: { type: 'object', properties: {} } };
  const refused: [fields: object, param: string][] = [
    [{ tools: [{ type: 'function', function: definition }] }, 'tools'],
    [{ functions: [definition] }, 'functions'],
    [{ tool_choice: 'required' }, 'tool_choice'],
  ];
  for (const [fields, param] of refused) {
    const { status, body } = await post('/chat/completions', { ...asked, ...fields });
    assert.equal(status, 400);
    assert.deepEqual(body['error'], {
      message: `The embedded models know one task and call no tools: leave out '${param}'.`,
      type: 'invalid_request_error',
      param,
      code: 'unsupported_parameter',
    });
  }
  for (const fields of [{ tools: [], tool_choice: 'none' }, { tools: null, functions: [] }, { tool_choice: 'auto' }])
    assert.equal((await post('/chat/completions', { ...asked, ...fields })).status, 200);
});

test('a stream brings the same text, the same log-probs and the usage', async () => {
  const whole = await readAnswer('spillway-drafter');
  const stream = await client.chat.completions.create({
    model: 'spillway-drafter',
    messages: [{ role: 'user', content: text }],
    temperature: 0,
    logprobs: true,
    stream: true,
    stream_options: { include_usage: true },
  });
  let content = '';
  const logprobs: number[] = [];
  let reason: string | null = null;
  let completionTokens = 0;
  for await (const chunk of stream) {
    content += chunk.choices[0]?.delta.content ?? '';
    logprobs.push(...(chunk.choices[0]?.logprobs?.content ?? []).map((entry) => entry.logprob));
    reason = chunk.choices[0]?.finish_reason ?? reason;
    completionTokens += chunk.usage?.completion_tokens ?? 0;
  }
  assert.equal(content, whole.content);
  assert.equal(logprobs.length, whole.logprobs.length);
  assert.ok(Math.abs(sum(logprobs) - sum(whole.logprobs)) < 1e-3);
  assert.equal(reason, 'stop');
  assert.equal(completionTokens, logprobs.length + 1, 'the end mark counts as a token, as in vLLM');
});

test('a stream that its reader leaves does not stand in the way of others', async () => {
  const stream = await client.completions.create({
    model: 'spillway-drafter',
    prompt: '<|user|>Total',
    max_tokens: 250,
    stream: true,
  });
  for await (const chunk of stream) if (chunk.choices.length > 0) break;
  assert.notEqual((await readAnswer('spillway-drafter')).content, '');
});

test('its metrics count what its models read and wrote, also for a reader that left, and so do the panels', async (context) => {
  const texts: string[] = [];
  type Counted = { readonly input: number; readonly output: number; readonly whole: number; readonly left: number };
  const counted = async (): Promise<Counted> => {
    let shown = '';
    // What a reader before left behind ends with its next token.
    while (!/^gen_ai_server_requests\{gen_ai_request_model="spillway-expert"\} 0$/m.test(shown)) {
      const response = await fetch(base.replace('/v1', '/metrics'));
      assert.match(response.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
      shown = await response.text();
    }
    texts.push(shown);
    assert.match(shown, /^spillway_build_info\{service="playground",/m);
    const value = (sample: string): number => {
      const line = shown.split('\n').find((one) => one.startsWith(`${sample} `));
      return Number(line?.split(' ').at(-1) ?? 0);
    };
    const model = 'gen_ai_request_model="spillway-expert"';
    return {
      input: value(`gen_ai_server_tokens_total{${model},direction="input"}`),
      output: value(`gen_ai_server_tokens_total{${model},direction="output"}`),
      whole: value(`gen_ai_server_request_duration_seconds_count{${model}}`),
      left: value(`gen_ai_server_request_duration_seconds_count{${model},error_type="cancelled"}`),
    };
  };
  const begun = await counted();
  const request = { model: 'spillway-expert', prompt: '<|user|>Total', max_tokens: 20 };
  const { usage } = await client.completions.create({ ...request, n: 2, temperature: 1 });
  const asked = await counted();
  assert.ok(usage !== undefined && usage.completion_tokens > 2);
  assert.deepEqual(asked, {
    input: begun.input + usage.prompt_tokens,
    output: begun.output + usage.completion_tokens,
    whole: begun.whole + 1,
    left: begun.left,
  });
  const [sound, served] = texts.map((shown) => scrapeOf([{ labels: { job: 'playground' }, text: shown }]));
  const stream = await client.completions.create({ ...request, max_tokens: 250, temperature: 0, stream: true });
  for await (const chunk of stream) if (chunk.choices.length > 0) break;
  while ((await counted()).left === begun.left);
  const end = await counted();
  assert.deepEqual([end.left, end.whole, end.input - asked.input], [begun.left + 1, asked.whole, usage.prompt_tokens]);
  assert.ok(end.output > asked.output && end.output - asked.output < 250);
  const lacking = await lacksPrometheus();
  if (lacking !== null) return context.skip(lacking);
  assert.ok(sound !== undefined && served !== undefined);
  await using prometheus = await Prometheus.of([...still(sound, 31), ...still(served, 30)]);
  const panels = (await readPanels()).filter(({ expr }) => expr.includes('gen_ai_server_'));
  const readings = await readingsOf(prometheus, panels);
  const tokens = Object.fromEntries(
    [...(readings.get('Tokens of the embedded models') ?? [])].map(([name, value]) => [name, Math.round(value)]),
  );
  assert.deepEqual(tokens, {
    'spillway-expert input': usage.prompt_tokens,
    'spillway-expert output': usage.completion_tokens,
  });
  assert.deepEqual([...(readings.get('Unfinished requests') ?? [])], []);
  assert.deepEqual([...(readings.get('Generations')?.keys() ?? [])], ['spillway-expert median', 'spillway-expert p95']);
});

test('refusals come in the envelope of the protocol', async () => {
  const messages = [{ role: 'user' as const, content: text }];
  await assert.rejects(
    client.chat.completions.create({ model: 'gpt-9', messages }),
    (error: InstanceType<typeof OpenAI.APIError>) => {
      assert.equal(error.status, 404);
      assert.equal(error.code, 'model_not_found');
      return true;
    },
  );
  await assert.rejects(
    client.chat.completions.create({
      model: 'spillway-drafter',
      messages: [{ role: 'user', content: 'Total 1.00 '.repeat(200) }],
    }),
    (error: InstanceType<typeof OpenAI.APIError>) => {
      assert.equal(error.status, 400);
      assert.equal(error.code, 'context_length_exceeded');
      return true;
    },
  );
  const wrong: [path: string, body: unknown, status: number, param: string | null][] = [
    ['/chat/completions', '{"model":', 400, null],
    ['/chat/completions', [], 400, null],
    ['/chat/completions', { model: 'spillway-drafter', messages: [] }, 400, 'messages'],
    [
      '/chat/completions',
      { model: 'spillway-drafter', messages, top_logprobs: 21, logprobs: true },
      400,
      'top_logprobs',
    ],
    ['/chat/completions', { model: 'spillway-drafter', messages, temperature: 'hot' }, 400, 'temperature'],
    [
      '/chat/completions',
      { model: 'spillway-drafter', messages, stream: true, prompt_logprobs: 1 },
      400,
      'prompt_logprobs',
    ],
    [
      '/chat/completions',
      { model: 'spillway-drafter', messages, continue_final_message: true },
      400,
      'continue_final_message',
    ],
    ['/completions', { model: 'spillway-drafter', prompt: [512] }, 400, 'prompt'],
    ['/embeddings', {}, 404, null],
  ];
  for (const [path, body, status, param] of wrong) {
    const answered = await post(path, body);
    const error = answered.body['error'] as Record<string, unknown>;
    assert.equal(answered.status, status, JSON.stringify(body));
    assert.deepEqual(Object.keys(error), ['message', 'type', 'param', 'code']);
    assert.equal(error['param'], param);
  }
});

test('while the models load, the server says when to come back; a signal then ends it cleanly', async () => {
  await using loading = startPlayground();
  const { port } = await loading.waitFor('listening');
  const early = await fetch(`http://127.0.0.1:${port}/v1/models`);
  assert.equal(early.status, 503);
  assert.equal(early.headers.get('retry-after'), '1');
  assert.equal(await loading.stop('SIGINT'), 0);
});

test('both models pass the check that workers make at their start, with all that it asks for', async () => {
  const configuration = configurationOf(`
models:
  small: { base_url: "${base}", model: spillway-drafter }
  large: { base_url: "${base}", model: spillway-expert }
cascades:
  test: { drafter: small, expert: large, accept_at: 0.5 }
`);
  for (const [name, spec] of Object.entries(configuration.models)) {
    const role = name === 'small' ? 'drafter' : 'expert';
    await using check = openModelCheck({ name, spec, apiKey: null }, { role, configuration });
    const { signal } = new AbortController();
    const begun = await check.begin(signal);
    assert.equal(begun?.kind, 'answered');
    const found = await check.complete(begun, signal);
    assert.deepEqual(found && { ...found, ms: null }, {
      reachable: true,
      known: true,
      ms: null,
      log_probs: true,
      alternatives: true,
      streamed_log_probs: true,
      scoring: 'prompt_logprobs',
      continuation: 'new_text',
      json_mode: true,
      refused: [],
      problem: null,
    });
  }
});

test('SIGTERM ends the process with code 0', async () => {
  const answering = readAnswer('spillway-expert');
  await answering;
  assert.equal(await playground.stop('SIGTERM'), 0);
});
