import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LineSplitter } from '@spillway/core';
import { convertLine } from './input.ts';

function convert(text: string): string[] {
  const splitter = new LineSplitter(1_000);
  const lines = [...splitter.push(Buffer.from(text)), ...splitter.end()];
  return Buffer.concat(lines.map((line) => convertLine(line, 'documents')))
    .toString('utf8')
    .split('\n')
    .slice(0, -1);
}

test("a request keeps everything but its model, which becomes the demo's cascade", () => {
  const [line = ''] = convert(
    '{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"model":"gpt-4","top_p":0.5,"messages":[]}}',
  );
  assert.deepEqual(JSON.parse(line), {
    custom_id: 'a',
    method: 'POST',
    url: '/v1/chat/completions',
    body: { model: 'documents', top_p: 0.5, messages: [] },
  });
});

test('a text becomes a request, with its line as its name unless it has one', () => {
  const lines = convert('{"text":"Invoice 7"}\n\n{"text":"x","custom_id":"mine"}\n').map(
    (text) => (text === '' ? null : JSON.parse(text)) as { custom_id: string; body: { messages: unknown } } | null,
  );
  assert.deepEqual(
    lines.map((line) => line?.custom_id),
    ['line-1', undefined, 'mine'],
  );
  assert.deepEqual(lines[0]?.body.messages, [{ role: 'user', content: 'Invoice 7' }]);
});

test('whatever else goes on as it is, line for line, for the API to judge', () => {
  const odd = [
    'not json',
    '[1]',
    '{"body":"x"}',
    '{"text":7}',
    '{"body":{"model":"documents"},  "n":1e400}',
    '',
    '"s"',
  ];
  assert.deepEqual(convert(odd.join('\r\n')), odd);
  const long = JSON.stringify({ text: 'x'.repeat(2_000) });
  assert.equal(convert(`${long}\n{"text":"y"}`).length, 2);
});
