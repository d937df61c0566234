import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LIMITS } from '../limits.ts';
import { LineSplitter, type Line } from '../text/lines.ts';
import { MAX_SLICE_CPU_MS, measureSlices } from '../../../../test/support/slices.ts';
import { runAtOnce } from '../text/slices.ts';
import { duplicateId, isBlankLine, readRequestLine, type ReadRequest, type RequestRules } from './request.ts';

const rules: RequestRules = {
  endpoint: '/v1/chat/completions',
  cascades: new Set(['invoices']),
  lineBytes: LIMITS.lineBytes,
};

function read(text: string | Uint8Array, own: RequestRules = rules): ReadRequest {
  const splitter = new LineSplitter(LIMITS.lineBytes);
  const [line] = [...splitter.push(Buffer.from(text)), ...splitter.end()];
  assert.ok(line);
  return runAtOnce(readRequestLine(line, own));
}

const good = {
  custom_id: 'a',
  method: 'POST',
  url: '/v1/chat/completions',
  body: { model: 'invoices', messages: [{ role: 'user', content: 'hi' }] },
};

const without = (key: string) => Object.fromEntries(Object.entries(good).filter(([name]) => name !== key));

const CASES: [string, unknown, { code: string; param: string | null; message?: string }][] = [
  [
    'not JSON',
    '{"a":',
    { code: 'invalid_json_line', param: null, message: 'This line is not parseable as valid JSON.' },
  ],
  ['not an object', [1], { code: 'invalid_request', param: null }],
  [
    'no custom_id',
    without('custom_id'),
    { code: 'missing_required_parameter', param: 'custom_id', message: "Missing required parameter: 'custom_id'." },
  ],
  ['no method', without('method'), { code: 'missing_required_parameter', param: 'method' }],
  ['no url', without('url'), { code: 'missing_required_parameter', param: 'url' }],
  ['no body', without('body'), { code: 'missing_required_parameter', param: 'body' }],
  ['custom_id a number', { ...good, custom_id: 7 }, { code: 'invalid_request', param: 'custom_id' }],
  ['custom_id too long', { ...good, custom_id: 'x'.repeat(513) }, { code: 'invalid_request', param: 'custom_id' }],
  ['another method', { ...good, method: 'GET' }, { code: 'invalid_method', param: 'method' }],
  [
    'another url',
    { ...good, url: '/v1/embeddings' },
    {
      code: 'invalid_url',
      param: 'url',
      message: 'The URL provided for this request does not match the batch endpoint.',
    },
  ],
  ['body not an object', { ...good, body: 'x' }, { code: 'invalid_request', param: 'body' }],
  [
    'no model',
    { ...good, body: { messages: [1] } },
    { code: 'invalid_request', param: 'body.model', message: 'Model parameter is required.' },
  ],
  [
    'unknown model',
    { ...good, body: { ...good.body, model: 'x' } },
    {
      code: 'model_not_found',
      param: 'body.model',
      message: "The provided model 'x' is not supported by the Batch API. Supported: 'invoices'.",
    },
  ],
  [
    'no messages',
    { ...good, body: { model: 'invoices' } },
    { code: 'invalid_request', param: 'body.messages', message: 'Messages parameter is required.' },
  ],
  [
    'stream',
    { ...good, body: { ...good.body, stream: true } },
    {
      code: 'streaming_unsupported',
      param: 'body.stream',
      message: 'Chat Completions: Streaming is not supported in the Batch API.',
    },
  ],
  [
    'too deep',
    `{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"model":"invoices","messages":[1],"x":${'['.repeat(100_000)}${']'.repeat(100_000)}}}`,
    { code: 'invalid_request', param: 'body' },
  ],
];

for (const [name, value, expected] of CASES) {
  test(`a bad line: ${name}`, () => {
    const result = read(typeof value === 'string' ? value : JSON.stringify(value));
    assert.equal(result.kind, 'bad');
    const { code, param, message, line } = result.error;
    assert.deepEqual({ code, param, line }, { code: expected.code, param: expected.param, line: 1 });
    if (expected.message !== undefined) assert.equal(message, expected.message);
  });
}

test('a line says why it is no request, where that can be seen', () => {
  const problemOf = (text: string | Uint8Array) => {
    const found = read(text);
    return found.kind === 'bad' ? [found.error.code, found.error.message] : [];
  };
  const json = 'This line is not parseable as valid JSON.';
  const line = JSON.stringify(good);
  assert.deepEqual(problemOf(`${line},`), ['invalid_json_line', `${json} A JSON line must not end with a comma.`]);
  assert.match(problemOf(`[${line},`)[1] ?? '', /^This line is not parseable as valid JSON\. It is a JSON array/);
  assert.match(problemOf(`[${line},${line}]`)[1] ?? '', /^Each line must be a JSON object\. It is a JSON array/);
  assert.match(problemOf('id,POST,/v1/chat/completions')[1] ?? '', /CSV/);
  assert.match(problemOf(Buffer.from(line, 'utf16le'))[1] ?? '', /UTF-8/);
});

test('unknown models are told the cascades, not more of them than one reads', () => {
  const cascades = new Set(Array.from({ length: 1_000 }, (_, at) => `cascade-${at}`));
  const found = read(JSON.stringify({ ...good, body: { ...good.body, model: '😀'.repeat(100) } }), {
    ...rules,
    cascades,
  });
  assert.equal(found.kind, 'bad');
  const { message } = found.error;
  assert.ok(message.length < 500 && message.isWellFormed());
  assert.match(message, /^The provided model '😀+…' is not supported by the Batch API\. Supported: 'cascade-0', /u);
  assert.match(message, / and 990 more\.$/);
});

test('ids that differ only in half of a character stay different', () => {
  const idOf = (id: string) => {
    const found = read(JSON.stringify({ ...good, custom_id: id }));
    return found.kind === 'request' ? found.request.customId : null;
  };
  const ids = ['a\ud83d', 'a\ud83e', 'a\ude00', 'a\ufffd'].map(idOf);
  assert.equal(new Set(ids).size, 4);
  assert.ok(ids.every((id) => id?.isWellFormed() === true));
});

test('a good line, with what must not confuse it', () => {
  const odd = `{"custom_id":"\u2028","method":"POST","url":"/v1/chat/completions","body":{"__proto__":{"x":1},"model":"invoices","messages":[{"role":"user","content":"a"}]}}`;
  const result = read(odd);
  assert.equal(result.kind, 'request');
  assert.equal(result.request.customId, '\u2028');
  assert.equal(Object.getPrototypeOf(result.request.body), Object.prototype);
});

test('blank lines are blank, bytes that are not UTF-8 are named', () => {
  assert.equal(read('  \t \r\n').kind, 'blank');
  const bad = read(Uint8Array.from([0x7b, 0xc3, 0x28, 0x7d]));
  assert.equal(bad.kind === 'bad' && bad.error.code, 'invalid_utf8');
});

test('arbitrary bytes never throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 300 }), (bytes) => {
      const splitter = new LineSplitter(100);
      for (const line of [...splitter.push(bytes), ...splitter.end()]) runAtOnce(readRequestLine(line, rules));
    }),
  );
  fc.assert(
    fc.property(fc.json(), (json) => {
      read(json);
    }),
  );
});

test('each endpoint has its own input, and its own words', () => {
  const problemOf = (url: RequestRules['endpoint'], body: object) => {
    const line = JSON.stringify({ ...good, url, body: { model: 'invoices', ...body } });
    const found = read(line, { ...rules, endpoint: url });
    return found.kind === 'bad' ? [found.error.code, found.error.param, found.error.message] : found.kind;
  };
  assert.equal(problemOf('/v1/completions', { prompt: 'a' }), 'request');
  assert.equal(problemOf('/v1/completions', { prompt: [1, 2] }), 'request');
  assert.equal(problemOf('/v1/responses', { input: 'a' }), 'request');
  assert.equal(problemOf('/v1/responses', { input: [{ role: 'user', content: 'a' }] }), 'request');
  assert.equal(problemOf('/v1/responses', { prompt: { id: 'pmpt_1' } }), 'request');
  const lacks = (name: string, title: string) => ['invalid_request', `body.${name}`, `${title} parameter is required.`];
  assert.deepEqual(problemOf('/v1/chat/completions', { input: 'a' }), lacks('messages', 'Messages'));
  assert.deepEqual(problemOf('/v1/completions', { messages: [] }), lacks('prompt', 'Prompt'));
  assert.deepEqual(problemOf('/v1/responses', { input: [] }), lacks('input', 'Input'));
  for (const [url, body, name] of [
    ['/v1/chat/completions', { messages: [{}] }, 'Chat Completions'],
    ['/v1/completions', { prompt: 'a' }, 'Completions'],
    ['/v1/responses', { input: 'a' }, 'Responses'],
  ] as const) {
    const message = `${name}: Streaming is not supported in the Batch API.`;
    assert.deepEqual(problemOf(url, { ...body, stream: true }), ['streaming_unsupported', 'body.stream', message]);
  }
});

test('a bad line has its id wherever that can be read', () => {
  const idOf = (value: unknown): string | null | undefined => {
    const line = read(typeof value === 'string' ? value : JSON.stringify(value));
    return line.kind === 'bad' ? line.customId : undefined;
  };
  assert.equal(idOf({ ...good, url: '/v1/x' }), 'a');
  assert.equal(idOf({ custom_id: 'b' }), 'b');
  assert.equal(idOf({ ...good, body: { ...good.body, model: 'x' } }), 'a');
  for (const id of [7, null, '', 'x'.repeat(513), { a: 1 }]) assert.equal(idOf({ ...good, custom_id: id }), null);
  for (const text of ['{"custom_id":"a"', '["a"]', '"a"', '7']) assert.equal(idOf(text), null);
});

test('a line is blank by the one rule, whoever asks', () => {
  const piece = fc.constantFrom(' ', '\t', '\uFEFF', '\u2028', '\u00A0', '{}', 'x', '\r', '\0');
  const text = fc.array(piece, { maxLength: 90 }).map((pieces) => Buffer.from(pieces.join('')));
  fc.assert(
    fc.property(
      fc.oneof(
        text,
        fc.uint8Array().map((bytes) => Buffer.from(bytes)),
      ),
      (bytes) => {
        const line = { number: 2, offset: 0, bytes: Buffer.from(bytes), length: bytes.length, tooLong: false };
        assert.equal(isBlankLine(line.bytes), runAtOnce(readRequestLine(line, rules)).kind === 'blank');
      },
    ),
  );
});

test('an id that is shown is short, and whole characters', () => {
  assert.equal(duplicateId('a', 3).message, "The custom_id 'a' was used by an earlier line.");
  const { message } = duplicateId(`${'x'.repeat(63)}😀 tail`, 3);
  assert.ok(message.isWellFormed() && message.length < 120, message);
});

test('a line of too many values, or nested too deep, is refused before it is parsed, in slices', () => {
  const lineOf = (body: string): Line => {
    const bytes = Buffer.from(`{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":${body}}`);
    return { number: 1, offset: 0, bytes, length: bytes.length, tooLong: false };
  };
  for (const [body, words] of [
    [`{"x":[${'{},'.repeat(3_300_000)}{}]}`, 'The request has more than 100000 values: scalars, objects and arrays.'],
    [`{"x":${'['.repeat(5_000_000)}`, 'The body is nested deeper than 128 levels.'],
  ] as const) {
    const { result, longestCpuMs } = measureSlices(readRequestLine(lineOf(body), rules));
    assert.ok(result.kind === 'bad' && result.error.message === words, JSON.stringify(result));
    assert.ok(longestCpuMs < MAX_SLICE_CPU_MS, `${longestCpuMs} ms`);
  }
  const { longestCpuMs } = measureSlices(readRequestLine(lineOf(`{"x":"${'\\n'.repeat(8_000_000)}"}`), rules));
  assert.ok(longestCpuMs < MAX_SLICE_CPU_MS, `${longestCpuMs} ms`);
});
