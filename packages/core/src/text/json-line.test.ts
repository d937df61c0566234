import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { jsonLine, strictJson } from './json-line.ts';

test('lines survive readers that take other separators for line ends', () => {
  assert.equal(jsonLine({ a: 'x\u2028y\u2029z\u0085' }), '{"a":"x\\u2028y\\u2029z\\u0085"}');
  assert.equal(jsonLine({ '\u2028': '\\u2028' }), '{"\\u2028":"\\\\u2028"}');
});

test('half of a character becomes U+FFFD, in values and in names; whole ones stay', () => {
  assert.equal(jsonLine('a\ud83d'), '"a\ufffd"');
  assert.equal(jsonLine({ '\ude00': ['\ud83d', '😀', '\ude00\ud83d'] }), '{"\ufffd":["\ufffd","😀","\ufffd\ufffd"]}');
  assert.equal(jsonLine('\\\ud83d\\'), '"\\\\\ufffd\\\\"');
});

test('what only looks like half of a character stays', () => {
  for (const text of [String.raw`\ud83d`, String.raw`\\ud83d`, String.raw`C:\udev`, '\\u00e9', '\\u'])
    assert.equal(JSON.parse(jsonLine(text)), text);
});

/** What Python's `splitlines` takes for line ends; it knows more of them than anybody else. */
const ENDS = ['\n', '\r', '\v', '\f', '\u001c', '\u001d', '\u001e', '\u0085', '\u2028', '\u2029'];

const odd = fc.constantFrom(...ENDS, '\\u2028', '\ud83d', '\ude00', '😀', '\\', '\\ud83d', '"');
const text = fc.array(fc.oneof(odd, fc.string()), { maxLength: 8 }).map((parts) => parts.join(''));

const mended = (value: unknown): unknown => {
  if (typeof value === 'string') return value.toWellFormed();
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(mended);
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name.toWellFormed(), mended(one)]));
};

test('whatever is written is one line of UTF-8 that strict readers take, and says the same', () => {
  fc.assert(
    fc.property(fc.dictionary(text, fc.oneof(text, fc.jsonValue(), fc.array(text))), (value) => {
      const line = jsonLine(value);
      assert.ok(ENDS.every((end) => !line.includes(end)));
      assert.ok(line.isWellFormed());
      const read: unknown = JSON.parse(line);
      assert.deepEqual(read, mended(JSON.parse(JSON.stringify(value))));
      assert.ok(JSON.stringify(read).isWellFormed() && !/(?<!\\)(?:\\\\)*\\ud/.test(JSON.stringify(read)));
      assert.deepEqual(JSON.parse(strictJson(value)), read);
    }),
  );
});
