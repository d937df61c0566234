import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { cutText } from './cut.ts';

test('what is short enough stays as it is, without a mark', () => {
  assert.equal(cutText('abc', 3, '…'), 'abc');
  assert.equal(cutText('abcd', 3, '…'), 'abc…');
  assert.equal(cutText('', 0), '');
  assert.equal(cutText('😀', 0), '');
});

test('a character is left out rather than halved', () => {
  assert.equal(cutText('ab😀tail', 3), 'ab');
  assert.equal(cutText('ab😀tail', 4), 'ab😀');
  assert.equal(cutText('😀😀', 1, '…'), '…');
  assert.equal(cutText('a\ud83d', 2), 'a\ud83d', 'what was half of a character before is not the cut’s doing');
});

test('a beginning of whole characters, at most one unit short of what is allowed', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.nat(40), (text, most) => {
      const cut = cutText(text, most);
      assert.ok(text.startsWith(cut));
      assert.ok(cut.isWellFormed());
      assert.ok(cut.length <= most && cut.length >= Math.min(text.length, most) - 1);
    }),
  );
});
