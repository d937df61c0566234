import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LineCount } from './line-count.ts';

test('as many lines as there are, however the bytes are cut', () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(fc.constantFrom('a', 'é', '\n', '\r\n')).map((parts) => parts.join(''))),
      (chunks) => {
        const count = new LineCount();
        for (const chunk of chunks) count.push(Buffer.from(chunk));
        const lines = chunks.join('').split('\n');
        assert.equal(count.lines, lines.at(-1) === '' ? lines.length - 1 : lines.length);
      },
    ),
  );
});
