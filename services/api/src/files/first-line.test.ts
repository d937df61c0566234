import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FirstLine } from './first-line.ts';

function judge(content: string | Buffer, chunkBytes = 3): string {
  const bytes = Buffer.from(content as string);
  const first = new FirstLine();
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    if (first.push(bytes.subarray(at, at + chunkBytes)) === 'other') return 'refused early';
  }
  return first.end() === 'other' ? 'refused' : 'fine';
}

test('the first line that is not blank must be JSON', () => {
  assert.equal(judge('{"a":1}\nnot json\n'), 'fine');
  assert.equal(judge('{"a":1}'), 'fine');
  assert.equal(judge('\n \r\n{"a":1}\n'), 'fine');
  assert.equal(judge('\uFEFF{"a":1}\r\n'), 'fine');
  assert.equal(judge('42\n'), 'fine');
  assert.equal(judge('not json\n{"a":1}\n'), 'refused early');
  assert.equal(judge('not json'), 'refused');
  assert.equal(judge('\n{"a":\n'), 'refused early');
});

test('a file without bytes is refused, one of blank lines is left to the batch', () => {
  assert.equal(judge(''), 'refused');
  assert.equal(judge('\n\n'), 'fine');
});

test('what only the batch can report with its line number passes', () => {
  assert.equal(judge(`{"a":"${'x'.repeat(2 * 1024 * 1024)}"}\n`, 65_536), 'fine');
  assert.equal(judge(Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xff]), Buffer.from('"}\n')])), 'fine');
  assert.equal(judge(`${'['.repeat(100_000)}${']'.repeat(100_000)}\n`, 65_536), 'fine');
});
