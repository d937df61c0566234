import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import type { OpenAI } from 'openai';
import type { Scripted } from '../support/model-server.ts';
import { strictParse } from '../support/strict.ts';
import { requestLine } from '../support/request-line.ts';
import { System, type ResultLine } from '../support/system.ts';
import { wholeResults } from '../support/whole.ts';

let system: System;

before(async () => {
  system = await System.start({
    drafter: { answer: ({ body }) => scriptOf(contentOf(body)) },
    expert: { answer: ({ body }) => (contentOf(body).includes('refused') ? scriptOf('refused') : scriptOf('')) },
  });
});
after(() => system[Symbol.asyncDispose]());

async function runFile(bytes: readonly (string | Buffer)[], metadata = {}): Promise<OpenAI.Batch> {
  const input = new File(
    bytes.map((part) => Buffer.from(part as string)),
    'input.jsonl',
  );
  const file = await system.client.files.create({ file: input, purpose: 'batch' });
  const order = { input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h' } as const;
  return system.settled((await system.client.batches.create({ ...order, metadata })).id);
}

/** What the model servers say: halves of characters wherever text may stand. */
const ODD = String.raw`{"id":"\ud83d","\ude00":{"\ud83d":"\ud83d\ude00"},"choices":[{"message":{"content":"a\ud83d, \ud83d\ude00, \\ud83d"}}]}`;

/** A draft that is cut in the middle of a character where it is shown. */
const LONG = `${'x'.repeat(3_999)}😀 tail`;

const scriptOf = (content: string): Scripted => {
  if (content.includes('refused'))
    return { kind: 'raw', status: 400, body: String.raw`{"error":{"message":"\ude00"}}` };
  return content.includes('long') ? { kind: 'completion', text: LONG, logprobs: -2 } : { kind: 'raw', body: ODD };
};

const contentOf = (body: object): string => JSON.stringify((body as { messages?: unknown }).messages);

test('whatever models and clients bring, every line is taken by strict readers, and ids stay apart', async () => {
  const ids = ['a\ud83d', 'a\ude00', 'a\ufffd', '\ud83d\ud83d', '😀', 'long', 'refused\ude00', 'refused\udbff'];
  const lines = ids.map(
    (id) => `${requestLine(`${id} \ude00`, id, { body: { user: '\ud83d', '\ude00': '\ud83d' } })}\n`,
  );
  const batch = await runFile(lines, { 'label\ud83d': 'value\ude00' });
  const written = [
    'a\ufffdd83d',
    'a\ufffdde00',
    'a\ufffd',
    '\ufffdd83d\ufffdd83d',
    '😀',
    'long',
    'refused\ufffdde00',
    'refused\ufffddbff',
  ];
  const { output, errors } = await wholeResults(system, batch, written);
  assert.equal(output.length, 6);
  assert.deepEqual(
    output[0]?.response?.body,
    JSON.parse(ODD.replaceAll(/(?<!\\)\\ud83d(?!\\)|(?<!d)\\ude00/g, '\ufffd')),
  );
  assert.equal(output[5]?.cascade?.stages[0]?.draft?.text, 'x'.repeat(3_999));
  assert.deepEqual(errors[0]?.response?.body, { error: { message: '\ufffd' } });
  assert.deepEqual({ ...batch.metadata }, { 'label\ufffd': 'value\ufffd' });

  // A strict model server would have taken what it was sent.
  for (const { body } of [...system.drafterModel.requests, ...system.expertModel.requests]) {
    strictParse(JSON.stringify(body));
    assert.deepEqual([body['user'], body['\ufffd']], ['\ufffd', '\ufffd']);
  }
  for (const { lines: logged } of system.services) for (const line of logged) strictParse(JSON.stringify(line));

  const page = await (await fetch(`${system.client.baseURL}/batches/${batch.id}/results`)).bytes();
  const { data } = strictParse(page) as { data: ResultLine[] };
  assert.deepEqual(
    data.map((line) => line.custom_id),
    written,
  );
  const again = await system.client.post<OpenAI.Batch>(`/batches/${batch.id}/retry`);
  await wholeResults(system, await system.settled(again.id), written.slice(-2));
});

test('ids of requests that come with the create stay apart, too', async () => {
  const requests = ['a\ud83d', 'a\ude00', 'a\ufffd'].map((id) => JSON.parse(requestLine('a', id)) as object);
  const body = { requests, endpoint: '/v1/chat/completions', completion_window: '24h' };
  const { id } = await system.client.post<OpenAI.Batch>('/batches', { body });
  await wholeResults(system, await system.settled(id), ['a\ufffdd83d', 'a\ufffdde00', 'a\ufffd']);
});

test('an id that says in plain text what another is written as is a duplicate, so that no two lines are alike', async () => {
  const batch = await runFile(['a\ud83d', 'b', 'a\ufffdd83d'].map((id) => `${requestLine('a', id)}\n`));
  assert.deepEqual(
    batch.errors?.data?.map(({ code, line }) => [code, line]),
    [['duplicate_custom_id', 3]],
  );
});

test('files that were joined, each with a byte order mark, are read as one', async () => {
  const cases = new URL('../support/cases/two-files-joined-each-with-a-byte-order-mark.jsonl', import.meta.url);
  const joined = (await readFile(cases, 'utf8')).replaceAll('"check"', '"test"');
  await wholeResults(system, await runFile([joined]), ['a', 'b']);

  // More than a page, pages that begin with a mark, and an id that is read again because another line has it.
  const ids = Array.from({ length: 300 }, (_, at) => `${at}`);
  const lines = ids.map((id) => `\uFEFF${requestLine('a', id)}\r\n`);
  await wholeResults(system, await runFile(lines), ids);
  const twice = await runFile([...lines.slice(0, 3), '\uFEFF\uFEFF\n', lines[1] ?? '']);
  assert.deepEqual(
    twice.errors?.data?.map(({ code, line }) => [code, line]),
    [['duplicate_custom_id', 5]],
  );
});
