import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readOptions } from './options.ts';

test('without options it is the documents of the generator', () => {
  assert.deepEqual(readOptions([], {}), { kind: 'generated', count: 1_000 });
  assert.deepEqual(readOptions(['--documents', '60'], {}), { kind: 'generated', count: 60 });
  assert.deepEqual(readOptions(['--documents=60'], {}), { kind: 'generated', count: 60 });
  assert.deepEqual(readOptions(['--help', '--documents', 'x'], {}), { kind: 'help' });
});

test("the path of a file is taken from where npm's user stands", () => {
  assert.deepEqual(readOptions(['--input', 'my.jsonl'], { INIT_CWD: '/home/me' }), {
    kind: 'file',
    path: '/home/me/my.jsonl',
  });
  assert.deepEqual(readOptions(['--input=/a/b'], { INIT_CWD: '/home/me' }), { kind: 'file', path: '/a/b' });
});

test('documents can be written down only', () => {
  const path = '/home/me/d.jsonl';
  const env = { INIT_CWD: '/home/me' };
  assert.deepEqual(readOptions(['--write', 'd.jsonl'], env), { kind: 'written', count: 1_000, path });
  assert.deepEqual(readOptions(['--documents=9', '--write=d.jsonl'], env), { kind: 'written', count: 9, path });
});

test('what it does not know is refused in one line', () => {
  const bad = [
    ['--frobnicate'],
    ['12'],
    ['--documents'],
    ['--documents', '0'],
    ['--documents', '1.5'],
    ['--documents', '1e3'],
    ['--documents=100001'],
    ['--input'],
    ['--input', ''],
    ['--input', 'a', '--documents', '3'],
    ['--input', 'a', '--write', 'b'],
    ['--write'],
  ];
  for (const args of bad) {
    assert.throws(() => readOptions(args, {}), { name: 'SetupError', message: /^[^\n]+$/ }, args.join(' '));
  }
});
