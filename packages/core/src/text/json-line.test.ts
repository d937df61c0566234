import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { jsonLine } from './json-line.ts';

test('lines survive readers that take other separators for line ends', () => {
  assert.equal(jsonLine({ a: 'x\u2028y\u2029z\u0085' }), '{"a":"x\\u2028y\\u2029z\\u0085"}');
  assert.equal(jsonLine({ '\u2028': '\\u2028' }), '{"\\u2028":"\\\\u2028"}');
});

/** What Python's `splitlines` takes for line ends; it knows more of them than anybody else. */
const ENDS = ['\n', '\r', '\v', '\f', '\u001c', '\u001d', '\u001e', '\u0085', '\u2028', '\u2029'];

test('whatever is written is one line, and the same JSON', () => {
  const odd = fc.constantFrom(...ENDS, '\\u2028');
  const text = fc.array(fc.oneof(odd, fc.string()), { maxLength: 8 }).map((parts) => parts.join(''));
  fc.assert(
    fc.property(fc.dictionary(text, fc.oneof(text, fc.jsonValue())), (value) => {
      const line = jsonLine(value);
      assert.ok(ENDS.every((end) => !line.includes(end)));
      assert.equal(JSON.stringify(JSON.parse(line)), JSON.stringify(value));
    }),
  );
});
