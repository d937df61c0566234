import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LIMITS } from '../limits.ts';
import { firstWords, serverWords } from './server-words.ts';

test('what a server says in an error: its message wherever it stands, else the first words', () => {
  for (const [body, words] of [
    [
      { error: { message: "'logprobs' is not supported by this model", code: 400 } },
      "'logprobs' is not supported by this model",
    ],
    [{ error: 'no such model' }, 'no such model'],
    [{ message: 'model is loading', error: {} }, 'model is loading'],
    [{ detail: 'Not Found' }, 'Not Found'],
    [{ detail: [{ loc: ['body'], msg: 'bad' }] }, '{"detail":[{"loc":["body"],"msg":"bad"}]}'],
    [{ error: { message: '  ' } }, '{"error":{"message":" "}}'],
    ['<html>\r\n<head><title>502 Bad\u0000Gateway</title>', '<html> <head><title>502 Bad Gateway</title>'],
    ['', null],
    [null, null],
    [undefined, null],
    [[1], '[1]'],
  ] as const) {
    assert.equal(serverWords(body), words, JSON.stringify(body));
  }
});

test('a text is one line of so many characters at most, none of them cut', () => {
  const unit = fc.constantFrom('a', ' ', '\n', '😀', 'é', '\ud83d', '\u0007', 'ab😀'.repeat(200));
  fc.assert(
    fc.property(fc.array(unit, { maxLength: 900 }), (units) => {
      const words = firstWords(units.join(''));
      if (words === null) return assert.equal(units.join('').replaceAll(/[\s\p{Cc}]/gu, ''), '');
      assert.ok(words.isWellFormed());
      assert.ok(words.length <= LIMITS.saidCharacters + 1 && !/^\s|\p{Cc}/u.test(words), words);
    }),
  );
  const long = `a${'😀'.repeat(LIMITS.saidCharacters)}`;
  assert.equal(firstWords(long), `a${'😀'.repeat(LIMITS.saidCharacters / 2 - 1)}…`, 'no half of one is left');
  assert.equal(firstWords(long.slice(0, 11)), long.slice(0, 11));
});
