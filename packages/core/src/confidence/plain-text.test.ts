import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { plainStart, plainText, withoutStop } from './plain-text.ts';

test('case, white space and what surrounds a word do not matter, a fraction does', () => {
  for (const [text, plain] of [
    [' "True." ', 'true'],
    ['**Yes**\n', 'yes'],
    ['a\u00a0 \tB', 'a b'],
    ['.5', '.5'],
    ['..5', '.5'],
    ['"*.5*"', '.5'],
    ['5.', '5'],
    ['5', '5'],
    ['3.14', '3.14'],
    ['...', ''],
    ['', ''],
    ['ﬁne', 'fine'],
    ['e\u0301', 'é'],
  ] as const) {
    assert.equal(plainText(text), plain, JSON.stringify(text));
  }
});

const piece = fc.constantFrom(
  '.',
  '*',
  '"',
  ' ',
  '\n',
  'a',
  'B',
  '5',
  '\u0301',
  '\u0323',
  'ﾞ',
  '´',
  'é',
  '😀',
  ',',
  '!',
);
const text = fc.array(piece, { maxLength: 30 }).map((pieces) => pieces.join(''));

/** How texts were compared before, by patterns that take the square of a run of marks; fractions apart. */
const before = (given: string): string =>
  given
    .normalize('NFKC')
    .toLowerCase()
    .replace(/\s+/g, ' ')
    .replace(/^[\s"'`*.]+|[\s"'`*.]+$/g, '');

test('texts are compared as ever, but for fractions', () => {
  fc.assert(
    fc.property(text, (given) => {
      const plain = plainText(given);
      assert.equal(/^\.\d/.test(plain) ? plain.slice(1) : plain, before(given));
      assert.ok(plain.startsWith(withoutStop(plainStart(plain))) || plain === '');
    }),
  );
});

test('no run of characters takes the square of its length', () => {
  const runs = ['.', ' ', '"', '\u0301\u0323', '\u0323\uFF9E', 'a.', '. .', '*5'];
  for (const run of runs) {
    // With the square of the length each of these would take seconds to minutes.
    const long = `x${run.repeat(200_000)}x`;
    assert.ok(plainText(long).length > 0 && withoutStop(long).length > 0);
  }
});

test('a text that would become many times as long is compared as it is', () => {
  assert.equal(plainText('\uFDFA'), '\uFDFA'.normalize('NFKC'));
  const long = '\uFDFA'.repeat(100_000);
  assert.equal(plainText(long), long);
  const mixed = `${'word '.repeat(20_000)}\uFB01nd`;
  assert.ok(plainText(mixed).endsWith('find'));
});
