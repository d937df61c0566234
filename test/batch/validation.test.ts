import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OpenAI } from 'openai';
import { requestLine } from '../support/request-line.ts';
import { sharedSystem } from '../support/shared-system.ts';
import { System } from '../support/system.ts';
import { wholeResults } from '../support/whole.ts';

type Wrong = readonly [bytes: string | Buffer, code: string, param: string | null, message?: string];

const good = (id: string, more: object = {}): string =>
  JSON.stringify({ ...(JSON.parse(requestLine('a', id)) as object), ...more });

const without = (key: string): string => JSON.stringify({ ...(JSON.parse(good('x')) as object), [key]: undefined });

const withBody = (body: object): string =>
  good('x', { body: { model: 'test', messages: [{ role: 'user', content: 'a' }], ...body } });

/** Every row of the contract's table of validation that is about one line. */
const WRONG: readonly Wrong[] = [
  ['{"custom_id":', 'invalid_json_line', null, 'This line is not parseable as valid JSON.'],
  ['[1]', 'invalid_request', null],
  ['"text"', 'invalid_request', null],
  [good('x', { body: [] }), 'invalid_request', 'body'],
  ...['custom_id', 'method', 'url', 'body'].map((key): Wrong => [
    without(key),
    'missing_required_parameter',
    key,
    `Missing required parameter: '${key}'.`,
  ]),
  [good('x', { custom_id: 7 }), 'invalid_request', 'custom_id'],
  [good('x'.repeat(513)), 'invalid_request', 'custom_id'],
  [
    good('x', { url: '/v1/responses' }),
    'invalid_url',
    'url',
    'The URL provided for this request does not match the batch endpoint.',
  ],
  [good('x', { method: 'GET' }), 'invalid_method', 'method'],
  [
    withBody({ model: 'x' }),
    'model_not_found',
    'body.model',
    "The provided model 'x' is not supported by the Batch API. Supported: 'test'.",
  ],
  [withBody({ model: '__proto__' }), 'model_not_found', 'body.model'],
  [
    withBody({ stream: true }),
    'streaming_unsupported',
    'body.stream',
    'Chat Completions: Streaming is not supported in the Batch API.',
  ],
  [withBody({ model: null }), 'invalid_request', 'body.model', 'Model parameter is required.'],
  [withBody({ messages: null }), 'invalid_request', 'body.messages', 'Messages parameter is required.'],
  [withBody({ messages: [] }), 'invalid_request', 'body.messages', 'Messages parameter is required.'],
  [good('first'), 'duplicate_custom_id', 'custom_id'],
  [`{"a":"${'x'.repeat(50_000_000)}"}`, 'line_too_large', null],
  [Buffer.concat([Buffer.from('{"custom_id":"'), Buffer.from([0xc3, 0x28]), Buffer.from('"}')]), 'invalid_utf8', null],
  [withBody({ x: JSON.parse(`${'['.repeat(1_000)}${']'.repeat(1_000)}`) as unknown }), 'invalid_request', 'body'],
  [`{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`, 'invalid_request', 'body'],
  ['\uFEFF{}', 'missing_required_parameter', 'custom_id'],
  [
    `${good('comma')},`,
    'invalid_json_line',
    null,
    'This line is not parseable as valid JSON. A JSON line must not end with a comma.',
  ],
  [Buffer.from('\uFEFF{"a":1}', 'utf16le'), 'invalid_utf8', null],
];

async function batchOf(system: System, lines: readonly (string | Buffer)[], end: string): Promise<OpenAI.Batch> {
  const bytes = lines.flatMap((line) => [Buffer.from(line), Buffer.from(end)]);
  const file = await system.client.files.create({ file: new File(bytes, 'input.jsonl'), purpose: 'batch' });
  const order = { input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h' } as const;
  return system.settled((await system.client.batches.create(order)).id);
}

const shared = sharedSystem(() => System.start({ drafter: { latencyMs: 20 } }));

test('every wrong line is named by its number, what is wrong and where; none is run', async () => {
  const system = await shared();
  for (const end of ['\n', '\r\n']) {
    // Physical lines count from 1, blank ones too: after the first good line every second one is wrong.
    const lines = [good('first'), ...WRONG.flatMap(([bytes]) => ['', bytes])];
    const batch = await batchOf(system, lines, end);
    assert.equal(batch.status, 'failed');
    const found = batch.errors?.data ?? [];
    assert.deepEqual(
      found.map(({ code, param, line }) => [line, code, param]),
      WRONG.map(([, code, param], at) => [2 * at + 3, code, param]),
    );
    for (const [at, [, , , message]] of WRONG.entries()) {
      if (message !== undefined) assert.equal(found[at]?.message, message);
    }
    assert.deepEqual(batch.request_counts, { total: 0, completed: 0, failed: 0 });
  }
  assert.equal(system.drafterModel.received, 0, 'the first test of this file: nobody was asked before');
});

test('at most a hundred wrong lines are reported, and an empty file is reported as one', async () => {
  const system = await shared();
  const many = await batchOf(
    system,
    Array.from({ length: 250 }, (_, at) => (at % 2 === 0 ? '{}' : good('the same'))),
    '\n',
  );
  const shown = many.errors?.data ?? [];
  assert.equal(shown.length, 100);
  assert.ok(shown.slice(0, -1).every(({ message }) => !/in all/.test(message ?? '')));
  // 125 without an id, and the id of the others was new once.
  assert.match(shown.at(-1)?.message ?? '', /^\S.* There are 249 errors in all; these are the first 100\.$/);
  const blank = await batchOf(system, ['', '  ', '\t'], '\n');
  assert.deepEqual(
    blank.errors?.data?.map(({ code, line }) => [code, line]),
    [['empty_file', null]],
  );
});

test('what is odd and right is run, as it was meant', async () => {
  const system = await shared();
  const lines = [
    `\uFEFF${good('bom')}`,
    good('separators \u2028\u2029\u0085 inside'),
    good('x', {}).replace('"custom_id":"x"', '"custom_id":"first of two","custom_id":"second of two"'),
    good('proto').replace('"body":{', '"body":{"__proto__":{"polluted":true},"constructor":1,'),
    good('large').replace('"body":{', '"body":{"seed":9007199254740993,'),
    good('unknown', { priority: 'high' }),
    good('null', {}).replace('"a"', '"a\\u0000\\ud800"'),
  ];
  const batch = await batchOf(system, lines, '\r\n');
  const ids = ['bom', 'separators \u2028\u2029\u0085 inside', 'second of two', 'proto', 'large', 'unknown', 'null'];
  await wholeResults(system, batch, ids);
  assert.equal(({} as { polluted?: boolean }).polluted, undefined);
});

test('a batch is validated once', async () => {
  const system = await shared();
  const { id } = await system.submit(Array.from({ length: 100 }, (_, index) => `${index}`));
  await system.settled(id);
  const said = system.services.flatMap(({ lines }) =>
    lines.filter((line) => line.msg === 'validated' && line['batch'] === id),
  );
  assert.equal(said.length, 1);
});
