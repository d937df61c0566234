import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { demoDocuments, generateDocument, isCorrect, SPLITS, writeAnswer } from './index.ts';

const split = fc.constantFrom(...SPLITS);
const seed = fc.nat();

test('the same seed and split give the same document', () => {
  fc.assert(
    fc.property(seed, split, (drawn, name) => {
      assert.deepEqual(generateDocument(drawn, { split: name }), generateDocument(drawn, { split: name }));
    }),
  );
});

test('a document of each split stays what it was when the models were trained', () => {
  const { text, truth } = generateDocument(1, { split: 'test' });
  assert.equal(text.split('\n')[0], 'Atlas AG, Cork');
  assert.deepEqual(truth, { type: 'invoice', currency: 'EUR', total: '1218.32' });
});

test('no two splits share a document', () => {
  const seen = new Map<string, string>();
  for (const name of SPLITS) {
    for (let drawn = 0; drawn < 2000; drawn++) {
      const { text } = generateDocument(drawn, { split: name });
      const before = seen.get(text);
      assert.ok(before === undefined || before === name, `${before} and ${name} share ${JSON.stringify(text)}`);
      seen.set(text, name);
    }
  }
});

test('every truth is a sum with two decimals, and its own answer is judged right', () => {
  fc.assert(
    fc.property(seed, split, (drawn, name) => {
      const { truth, difficulty } = generateDocument(drawn, { split: name });
      assert.match(truth.total, /^(0|[1-9]\d*)\.\d\d$/);
      assert.ok(difficulty >= 0 && difficulty < 1);
      assert.ok(isCorrect(writeAnswer(truth), truth));
    }),
  );
});

test('the digits of the total stand in the document, as they are or as a scanner misread them', () => {
  const digits: Readonly<Record<string, string>> = { O: '0', o: '0', l: '1', I: '1', Z: '2', S: '5', B: '8', g: '9' };
  for (let drawn = 0; drawn < 2000; drawn++) {
    const { text, truth } = generateDocument(drawn, { split: 'train' });
    const read = text.replaceAll(/[OolIZSBg]/g, (letter) => digits[letter] ?? letter).replaceAll(/[ '.,]/g, '');
    const whole = truth.total.replace(/\.00$/, '').replace('.', '');
    assert.ok(read.includes(whole), `${truth.total} is not in ${JSON.stringify(text)}`);
  }
});

test('a demo bundle has distinct names and bodies that say what the document says', () => {
  const bundle = demoDocuments(50, 3);
  assert.equal(new Set(bundle.map((document) => document.customId)).size, 50);
  assert.deepEqual(bundle, demoDocuments(50, 3));
  for (const { body, text } of bundle) assert.deepEqual(body.messages, [{ role: 'user', content: text }]);
  assert.notDeepEqual(bundle[0]?.text, demoDocuments(1, 4)[0]?.text);
});
