import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import {
  brotliCompressSync,
  constants,
  createGzip,
  deflateRawSync,
  deflateSync,
  gzipSync,
  zstdCompressSync,
} from 'node:zlib';
import type { JsonObject } from '@spillway/core';
import { OpenAI } from 'openai';
import { always, choiceOf, completed, failed, openAt, setUp } from '../support/model-client.ts';
import { startModelServer, type Scripted } from '../support/model-server.ts';

const ANSWER = JSON.stringify({
  id: 'c',
  object: 'chat.completion',
  choices: [{ index: 0, message: { role: 'assistant', content: 'grüße 😀' }, finish_reason: 'stop' }],
});

const chunk = (delta: JsonObject, finish: string | null = null): string =>
  `data: ${JSON.stringify({ id: 'c', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
const EVENTS = [chunk({ role: 'assistant', content: 'grüße' }), chunk({ content: ' 😀' }, 'stop'), 'data: [DONE]\n\n'];
const STREAM = EVENTS.join('');

/** What a server may write into `content-encoding`, and do to its answer then. */
const CODINGS: Readonly<Record<string, (bytes: Uint8Array) => Uint8Array>> = {
  gzip: (bytes) => gzipSync(bytes),
  'X-GZip': (bytes) => gzipSync(bytes),
  deflate: (bytes) => deflateSync(bytes),
  'deflate ': (bytes) => deflateRawSync(bytes),
  br: (bytes) => brotliCompressSync(bytes),
  zstd: (bytes) => zstdCompressSync(bytes),
  'gzip, br': (bytes) => brotliCompressSync(gzipSync(bytes)),
  'deflate,gzip': (bytes) => gzipSync(deflateRawSync(bytes)),
  'br, deflate, zstd': (bytes) => zstdCompressSync(deflateSync(brotliCompressSync(bytes))),
  // No coding at all, under a name that is none.
  'utf-8': (bytes) => bytes,
};

/** What may stand before an answer. */
const BEFORE = ['', '\uFEFF', '\n\n', '\uFEFF \r\n\t'];

const raw = (coding: string, body: Uint8Array, more: { status?: number; type?: string } = {}): Scripted => ({
  kind: 'raw',
  body,
  ...(more.status === undefined ? {} : { status: more.status }),
  headers: { 'content-encoding': coding, 'content-type': more.type ?? 'application/json' },
});

/** A client for a server that gives these answers in turn. */
async function answering(t: TestContext, scripts: readonly Scripted[]) {
  let next = 0;
  return await setUp(t, { answer: () => scripts[next++] ?? { kind: 'hang' } });
}

test('a coded answer, with whatever stands before it, is read as the SDK alone reads it', async (t) => {
  const cases = Object.entries(CODINGS).flatMap(([coding, encode]) =>
    BEFORE.map((before) => ({ coding, body: encode(Buffer.from(before + ANSWER)) })),
  );
  let at = 0;
  const { server, ask } = await setUp(t, {
    answer: () => raw(cases[at]?.coding ?? '', cases[at]?.body ?? Buffer.alloc(0)),
  });
  const stock = new OpenAI({ baseURL: server.baseURL, apiKey: 'none', maxRetries: 0 });
  for (; at < cases.length; at += 1) {
    const said = await stock.chat.completions.create({ model: 'm', messages: [] });
    assert.equal(said.choices[0]?.message.content, 'grüße 😀', cases[at]?.coding);
    assert.deepEqual(completed(await ask('a')).completion.text, 'grüße 😀', cases[at]?.coding);
    const events: JsonObject[] = [];
    const streamed = completed(await ask('a', { onEvent: (data) => void events.push(data) }));
    assert.deepEqual(choiceOf(streamed.body)?.['message'], { role: 'assistant', content: 'grüße 😀' });
    assert.ok(events.length > 0);
  }
});

test('a coded stream is read, with a mark and blank lines before it, whatever its line ends and pieces', async (t) => {
  const cases = Object.entries(CODINGS).flatMap(([coding, encode]) =>
    ['\n', '\r\n', '\r'].flatMap((end) =>
      BEFORE.map((before) => ({
        coding,
        bytes: encode(Buffer.from((before.trimEnd() + '\n' + STREAM).replaceAll('\n', end))),
      })),
    ),
  );
  const scripts = cases.map(({ coding, bytes }, at): Scripted => {
    const size = 1 + (at % 40);
    const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, piece) =>
      bytes.subarray(piece * size, (piece + 1) * size),
    );
    return { kind: 'pieces', pieces, headers: { 'content-encoding': coding } };
  });
  const { ask } = await answering(t, scripts);
  for (const { coding } of cases) {
    const events: JsonObject[] = [];
    // A reader that makes the server wait after every event.
    const onEvent = async (data: JsonObject): Promise<void> => {
      await new Promise((resolve) => setImmediate(resolve));
      events.push(data);
    };
    assert.equal(completed(await ask('a', { onEvent })).completion.text, 'grüße 😀', coding);
    assert.equal(events.length, 2, coding);
  }
});

test('events of a coded stream are passed on as they come', async (t) => {
  const gzip = createGzip();
  const flushed = async (text: string): Promise<Buffer> => {
    gzip.write(text);
    await new Promise<void>((resolve) => gzip.flush(constants.Z_SYNC_FLUSH, resolve));
    return gzip.read() as Buffer;
  };
  const first = await flushed(EVENTS[0] ?? '');
  const { ask } = await setUp(
    t,
    always({ kind: 'pieces', pieces: [first], last: 'hang', headers: { 'content-encoding': 'gzip' } }),
  );
  const stop = new AbortController();
  const onEvent = (): undefined => {
    stop.abort('seen');
  };
  const attempt = await ask('a', { signal: stop.signal, onEvent });
  assert.deepEqual(attempt, { kind: 'aborted', reason: 'seen' });
});

test('what is no coded body is a garbled answer; an error keeps its status', async (t) => {
  const gzipped = gzipSync(ANSWER.repeat(100));
  const broken: Scripted[] = [
    raw('gzip', Buffer.from(ANSWER)),
    raw('deflate', Buffer.from(ANSWER)),
    raw('br', Buffer.from(ANSWER)),
    raw('zstd', Buffer.from(ANSWER)),
    raw('gzip', gzipped.subarray(0, gzipped.length / 2)),
    raw('gzip', Buffer.alloc(0)),
    raw('lzma', gzipped),
    raw('gzip, br', gzipped),
    raw('gzip,gzip,gzip,gzip,gzip,gzip', Buffer.from(ANSWER)),
  ];
  const { ask, server } = await answering(t, [
    ...broken.flatMap((script) => [script, script]),
    raw('gzip', gzipSync('{"error":{"message":"too 😀 long"}}'), { status: 400 }),
    raw('gzip', Buffer.from('no gzip'), { status: 429 }),
    raw('a,b,c,d,e,f', Buffer.from('no'), { status: 503 }),
    { kind: 'completion', text: 'well' },
  ]);
  for (const script of broken) {
    for (const call of [{}, { onEvent: () => undefined }]) {
      const fault = failed(await ask('a', call));
      assert.equal(fault.kind, 'garbled', JSON.stringify([script, fault]));
    }
  }
  const [said, busy, down] = [failed(await ask('a')), failed(await ask('a')), failed(await ask('a'))];
  assert.ok(said.kind === 'http' && said.status === 400);
  assert.deepEqual(said.body, { error: { message: 'too 😀 long' } });
  assert.ok(busy.kind === 'http' && busy.status === 429);
  assert.ok(down.kind === 'http' && down.status === 503);
  assert.equal(completed(await ask('a')).completion.text, 'well', 'the client goes on');
  assert.equal(server.received, 2 * broken.length + 4);
});

/** Far more than an answer may be; zeros shrink to a thousandth. */
const BLOWN_BYTES = 384 * 1024 * 1024;

test('a body that is blown up is cut off at what an answer, and an error, may be', async (t) => {
  const pieces = Buffer.alloc(BLOWN_BYTES / 4, ' ');
  const bombs: readonly [string, Uint8Array][] = [
    ['gzip', Buffer.concat(Array.from({ length: 4 }, () => gzipSync(pieces, { level: 1 })))],
    ['deflate', deflateRawSync(pieces, { level: 1 })],
    ['br', brotliCompressSync(pieces, { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } })],
    ['gzip, gzip', gzipSync(gzipSync(pieces))],
  ];
  for (const [coding, body] of bombs) {
    await using server = await startModelServer({
      answer: ({ attempt }) => raw(coding, body, attempt === 3 ? { status: 500 } : {}),
    });
    const { ask } = openAt(t, server.baseURL);
    const before = process.memoryUsage().arrayBuffers;
    let peak = 0;
    const look = setInterval(() => (peak = Math.max(peak, process.memoryUsage().arrayBuffers - before)), 1);
    for (const call of [{}, { onEvent: () => undefined }]) {
      const fault = failed(await ask('a', call));
      assert.ok(fault.kind === 'garbled', JSON.stringify(fault));
      assert.match(fault.message, /longer than/, coding);
    }
    const fault = failed(await ask('a'));
    clearInterval(look);
    assert.ok(fault.kind === 'http' && fault.status === 500 && fault.body === ' '.repeat(4_096), coding);
    assert.ok(peak < 96 * 1024 * 1024, `${coding}: ${peak} bytes at a time`);
  }
});

test('an error that is cut in the middle of a character ends before it', async (t) => {
  const { ask } = await setUp(t, always({ kind: 'raw', status: 500, body: `${'x'.repeat(4_095)}😀 tail` }));
  const fault = failed(await ask('a'));
  assert.ok(fault.kind === 'http');
  assert.equal(fault.body, 'x'.repeat(4_095));
});
