import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import OpenAI from 'openai';
import type {
  Response,
  ResponseCreateParamsNonStreaming,
  ResponseOutputText,
  ResponseStreamEvent,
} from 'openai/resources/responses/responses';
import { demoDocuments } from '../../services/playground/src/documents/index.ts';
import type { Playground } from '../support/playground.ts';
import { startPlayground } from '../support/playground.ts';

const [first] = demoDocuments(1, 7);
if (first === undefined) throw new Error('a bundle of one has a first document');
const { text } = first;
const question = { model: 'spillway-drafter', input: text, temperature: 0 };
const withLogprobs = { ...question, include: ['message.output_text.logprobs' as const], top_logprobs: 3 };
let playground: Playground;
let client: OpenAI;

before(async () => {
  playground = startPlayground();
  const { port } = await playground.waitFor('ready');
  client = new OpenAI({ baseURL: `http://127.0.0.1:${port}/v1`, apiKey: 'none', maxRetries: 0 });
});

after(() => playground[Symbol.asyncDispose]());

function partOf(response: Response): ResponseOutputText {
  const [item] = response.output;
  assert.ok(item?.type === 'message');
  const [part] = item.content;
  assert.ok(part?.type === 'output_text');
  return part;
}

/** A response without what differs from one to the next. */
function withoutIdentity(response: Response): object {
  const output = response.output.map((item) => ({ ...item, id: 'msg_' }));
  return { ...response, id: 'resp_', created_at: 0, completed_at: 0, output };
}

test('a response is what chat answers, in the shape of the Responses API', async () => {
  const response = await client.responses.create({ ...question, metadata: { batch: 'a' }, user: 'someone' });
  const chat = await client.chat.completions.create({
    model: question.model,
    messages: [{ role: 'user', content: text }],
    temperature: 0,
  });
  const content = chat.choices[0]?.message.content ?? '';
  const [item] = response.output;
  assert.match(response.id, /^resp_[0-9a-f]{32}$/);
  assert.match(item?.id ?? '', /^msg_[0-9a-f]{32}$/);
  assert.ok(Math.abs(response.created_at - Date.now() / 1000) < 60);
  assert.ok((response.completed_at ?? 0) >= response.created_at);
  assert.equal(response.output_text, content);
  assert.deepEqual(withoutIdentity(response), {
    id: 'resp_',
    object: 'response',
    created_at: 0,
    status: 'completed',
    completed_at: 0,
    error: null,
    incomplete_details: null,
    model: 'spillway-drafter',
    output: [
      {
        type: 'message',
        id: 'msg_',
        status: 'completed',
        role: 'assistant',
        content: [{ type: 'output_text', text: content, annotations: [], logprobs: [] }],
      },
    ],
    output_text: content,
    usage: {
      input_tokens: chat.usage?.prompt_tokens,
      input_tokens_details: { cached_tokens: 0, cache_write_tokens: 0 },
      output_tokens: chat.usage?.completion_tokens,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: chat.usage?.total_tokens,
    },
    access_programs: null,
    background: false,
    instructions: null,
    max_output_tokens: null,
    max_tool_calls: null,
    metadata: { batch: 'a' },
    parallel_tool_calls: true,
    previous_response_id: null,
    prompt_cache_key: null,
    reasoning: { effort: null, summary: null },
    safety_identifier: null,
    service_tier: 'default',
    store: false,
    temperature: 0,
    text: { format: { type: 'text' } },
    tool_choice: 'auto',
    tools: [],
    top_logprobs: 0,
    top_p: 1,
    truncation: 'disabled',
    user: 'someone',
  });
});

test('the log-probs are those of chat, and come only when they are included', async () => {
  const part = partOf(await client.responses.create(withLogprobs));
  const chat = await client.chat.completions.create({
    model: question.model,
    messages: [{ role: 'user', content: text }],
    temperature: 0,
    logprobs: true,
    top_logprobs: 3,
  });
  assert.ok((part.logprobs?.length ?? 0) > 0);
  assert.deepEqual(part.logprobs, chat.choices[0]?.logprobs?.content);
  assert.deepEqual(partOf(await client.responses.create({ ...question, top_logprobs: 3 })).logprobs, []);
});

test('items of every kind of text are read, and what the system says is dropped', async () => {
  const { output_text: expected, output } = await client.responses.create(question);
  const asItems: ResponseCreateParamsNonStreaming[] = [
    { ...question, input: [{ role: 'user', content: text }] },
    { ...question, input: [{ type: 'message', role: 'user', content: [{ type: 'input_text', text }] }] },
    {
      ...question,
      instructions: 'Answer in verse.',
      input: [
        { role: 'developer', content: 'Briefly.' },
        { role: 'user', content: text },
      ],
    },
    { ...question, text: { format: { type: 'json_schema', name: 'document', schema: { type: 'object' } } } },
    { ...question, text: { format: { type: 'json_object' } }, store: true, tools: [], tool_choice: 'none' },
  ];
  for (const asked of asItems) {
    const response = await client.responses.create(asked);
    assert.equal(response.output_text, expected);
    assert.equal(response.instructions, asked.instructions ?? null);
    assert.deepEqual(response.text, asked.text ?? { format: { type: 'text' } });
    assert.equal(response.tool_choice, asked.tool_choice ?? 'auto');
  }
  const answered = output.filter((item) => item.type === 'message');
  const conversation = await client.responses.create({
    ...question,
    input: [{ role: 'user', content: 'Total 1.00' }, ...answered, { role: 'user', content: 'Total 2.00' }],
  });
  const chat = await client.chat.completions.create({
    model: question.model,
    messages: [
      { role: 'user', content: 'Total 1.00' },
      { role: 'assistant', content: expected },
      { role: 'user', content: 'Total 2.00' },
    ],
    temperature: 0,
  });
  assert.equal(conversation.output_text, chat.choices[0]?.message.content);
});

test('max_output_tokens leaves a response incomplete, and one beyond the context is cut', async () => {
  const cut = await client.responses.create({ ...question, max_output_tokens: 3 });
  assert.equal(cut.status, 'incomplete');
  assert.deepEqual(cut.incomplete_details, { reason: 'max_output_tokens' });
  assert.equal(cut.output[0]?.type === 'message' && cut.output[0].status, 'incomplete');
  assert.equal(cut.usage?.output_tokens, 3);
  assert.equal(cut.max_output_tokens, 3);
  const whole = await client.responses.create({ ...question, max_output_tokens: 1_000_000 });
  assert.equal(whole.status, 'completed');
});

test('a stream brings the events in order, numbered, and ends with the whole response', async () => {
  const whole = await client.responses.create(withLogprobs);
  const part = partOf(whole);
  const events: ResponseStreamEvent[] = [];
  for await (const event of await client.responses.create({ ...withLogprobs, stream: true })) events.push(event);
  const deltas = events.filter((event) => event.type === 'response.output_text.delta');
  assert.deepEqual(
    events.map((event) => event.type),
    [
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
      ...deltas.map(() => 'response.output_text.delta'),
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.completed',
    ],
  );
  assert.deepEqual(
    events.map((event) => event.sequence_number),
    events.map((_, i) => i),
  );
  const brief = part.logprobs?.map((entry) => ({
    token: entry.token,
    logprob: entry.logprob,
    top_logprobs: entry.top_logprobs.map(({ token, logprob }) => ({ token, logprob })),
  }));
  assert.ok(deltas.length > 1);
  assert.equal(deltas.map((event) => event.delta).join(''), whole.output_text);
  assert.deepEqual(
    deltas.flatMap((event) => event.logprobs),
    brief,
  );
  const opened = events[0];
  const last = events.at(-1);
  assert.ok(opened?.type === 'response.created' && last?.type === 'response.completed');
  assert.equal(opened.response.status, 'in_progress');
  assert.deepEqual(opened.response.output, []);
  assert.equal(opened.response.id, last.response.id);
  assert.deepEqual({ ...withoutIdentity(last.response), output_text: whole.output_text }, withoutIdentity(whole));
  const ids = new Set(events.flatMap((event) => ('item_id' in event ? [event.item_id] : [])));
  assert.deepEqual([...ids], [last.response.output[0]?.id]);
});

test('events are named on the wire, and nothing comes after the last one', async () => {
  const response = await client.responses.create({ ...question, max_output_tokens: 2, stream: true }).asResponse();
  assert.equal(response.headers.get('content-type'), 'text/event-stream');
  const frames = (await response.text()).trimEnd().split('\n\n');
  for (const frame of frames) {
    const [, name, data] = /^event: (\S+)\ndata: (.+)$/.exec(frame) ?? [];
    assert.equal((JSON.parse(data ?? 'null') as { type: string }).type, name);
  }
  assert.match(frames.at(-1) ?? '', /^event: response\.incomplete\n/);
});

test('the official stream helper gathers the same response', async () => {
  const whole = await client.responses.create(withLogprobs);
  const stream = client.responses.stream(withLogprobs);
  let written = '';
  stream.on('response.output_text.delta', (event) => (written += event.delta));
  const final = await stream.finalResponse();
  assert.equal(written, whole.output_text);
  assert.equal(final.output_text, whole.output_text);
  assert.deepEqual(partOf(final).logprobs, partOf(whole).logprobs);
});

test('what would need a memory, tools or pictures is refused by name', async () => {
  const picture = { type: 'input_image', image_url: 'data:,', detail: 'auto' } as const;
  const wrong: [fields: object, code: string, param: string][] = [
    [{ previous_response_id: 'resp_1' }, 'previous_response_not_found', 'previous_response_id'],
    [{ conversation: 'conv_1' }, 'unsupported_parameter', 'conversation'],
    [{ background: true }, 'unsupported_parameter', 'background'],
    [{ tools: [{ type: 'web_search' }] }, 'unsupported_parameter', 'tools'],
    [{ input: undefined }, 'invalid_value', 'input'],
    [{ input: [] }, 'invalid_value', 'input'],
    [{ input: [{ role: 'user', content: [picture] }] }, 'invalid_value', 'input[0].content'],
    [{ input: [{ type: 'item_reference', id: 'msg_1' }] }, 'invalid_value', 'input[0].type'],
    [{ input: 'Total 1.00 '.repeat(200) }, 'context_length_exceeded', 'input'],
    [{ include: ['logprobs'] }, 'invalid_value', 'include'],
    [{ max_output_tokens: 0 }, 'invalid_value', 'max_output_tokens'],
    [{ top_logprobs: 21 }, 'invalid_value', 'top_logprobs'],
    [{ text: 'json' }, 'invalid_value', 'text'],
  ];
  for (const [fields, code, param] of wrong) {
    await assert.rejects(
      client.responses.create({ ...question, ...fields }),
      (error: InstanceType<typeof OpenAI.APIError>) => {
        assert.deepEqual([error.status, error.code, error.param], [400, code, param], JSON.stringify(fields));
        return true;
      },
    );
  }
});
