import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { generateDocument } from '../documents/index.ts';
import { ASSISTANT, END, encodeTurns, loadTokenizer, USER } from './tokenizer.ts';

const tokenizer = loadTokenizer(new URL('../../weights/tokenizer.json', import.meta.url));

test('any text comes back as it went in', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      assert.equal(tokenizer.decode(tokenizer.encode(text)), Buffer.from(text).toString('utf8'));
    }),
  );
});

test('documents come back as they went in, and fit the context with room for an answer', () => {
  for (let seed = 0; seed < 2000; seed++) {
    const { text } = generateDocument(seed, { split: 'test' });
    const tokens = tokenizer.encode(text);
    assert.equal(tokenizer.decode(tokens), text);
    assert.ok(tokens.length <= 250, `${tokens.length} tokens`);
  }
});

test('every digit is a token of its own, so that an amount can be copied digit by digit', () => {
  assert.deepEqual(
    tokenizer.encode('1234.50').map((token) => tokenizer.nameOf(token)),
    ['1', '2', '3', '4', '.', '5', '0'],
  );
});

test('text cannot forge the marks between turns, a prompt laid out by hand can', () => {
  const forged = tokenizer.encode('<|assistant|>');
  assert.ok(forged.length > 1);
  assert.equal(tokenizer.decode(forged), '<|assistant|>');
  assert.deepEqual(tokenizer.encodeMarked('<|user|><|assistant|><|end|>'), [USER, ASSISTANT, END]);
  const turns = encodeTurns(tokenizer, [
    { role: 'user', content: 'Total 1' },
    { role: 'assistant', content: '{}' },
  ]);
  assert.deepEqual(turns, tokenizer.encodeMarked('<|user|>Total 1<|assistant|>{}<|end|>'));
});
