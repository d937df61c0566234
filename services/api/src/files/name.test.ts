import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { attachmentHeader, isBatchInputName, safeName } from './name.ts';

test('paths, control characters and reversals go', () => {
  const cases = {
    'in.jsonl': 'in.jsonl',
    '../../etc/passwd': 'passwd',
    'C:\\temp\\in.jsonl': 'in.jsonl',
    'a\r\nSet-Cookie: x.jsonl': 'aSet-Cookie: x.jsonl',
    'a\0b\u007f.jsonl': 'ab.jsonl',
    '\u202Elnosj.exe': 'lnosj.exe',
    '..': 'upload.jsonl',
    '/': 'upload.jsonl',
    '': 'upload.jsonl',
    'Rechnungen März.jsonl': 'Rechnungen März.jsonl',
  };
  for (const [given, safe] of Object.entries(cases)) assert.equal(safeName(given), safe);
});

test('a name that is too long keeps its extension', () => {
  const long = safeName(`${'x'.repeat(10_240)}.jsonl`);
  assert.equal(long.length, 255);
  assert.ok(long.endsWith('x.jsonl'));
  assert.ok(safeName(`${'🙂'.repeat(5_000)}.jsonl`).isWellFormed());
});

test('any name becomes a harmless one', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 600 }), (given) => {
      const name = safeName(given);
      assert.ok(name.length >= 1 && name.length <= 255);
      assert.match(name, /^[^/\\\p{Cc}]+$/u);
      assert.ok(name.isWellFormed());
      assert.doesNotMatch(attachmentHeader(name), /[^\x20-\x7e]/);
    }),
  );
});

test('a batch input is .jsonl or has no extension', () => {
  for (const name of ['a.jsonl', 'A.JSONL', 'a', '.jsonl', 'a.']) assert.ok(isBatchInputName(name), name);
  for (const name of ['a.json', 'a.jsonl.gz', 'a.txt', 'a b.exe']) assert.ok(!isBatchInputName(name), name);
});

test('a download names its file so that no name breaks the header', () => {
  assert.equal(attachmentHeader('in.jsonl'), 'attachment; filename="in.jsonl"');
  assert.equal(
    attachmentHeader('a"b\'ä.jsonl'),
    "attachment; filename=\"a_b'_.jsonl\"; filename*=UTF-8''a%22b%27%C3%A4.jsonl",
  );
});
