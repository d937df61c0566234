import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { loadTokenizer } from '../../engine/tokenizer.ts';
import {
  generateOrder,
  isCorrectOrder,
  ORDER_ANSWER_TOKENS,
  ORDER_FIELDS,
  ORDER_SPLITS,
  writeOrderAnswer,
} from './index.ts';

const split = fc.constantFrom(...ORDER_SPLITS);
const seed = fc.nat();

test('the same seed and split give the same order', () => {
  fc.assert(
    fc.property(seed, split, (drawn, name) => {
      assert.deepEqual(generateOrder(drawn, { split: name }), generateOrder(drawn, { split: name }));
    }),
  );
});

test('an order stays what it was when the models were trained', () => {
  const { text, truth } = generateOrder(1, { split: 'test' });
  assert.deepEqual(text.split('\n').slice(0, 4), [
    'Atlas Ltd, Calgary',
    'Bon de commande AU-4927',
    'Imprimé',
    '11.g.27',
  ]);
  assert.equal(
    writeOrderAnswer(truth),
    '{"number":"AU-4927","date":"2027-09-18","currency":"CAD","customer":"6217","items":"3","net":"4150.23","vat":"788.54","total":"4938.77","due":"2027-11-07","express":"yes"}',
  );
});

test('no two splits share an order', () => {
  const seen = new Map<string, string>();
  for (const name of ORDER_SPLITS) {
    for (let drawn = 0; drawn < 2000; drawn++) {
      const { text } = generateOrder(drawn, { split: name });
      const before = seen.get(text);
      assert.ok(before === undefined || before === name, `${before} and ${name} share ${JSON.stringify(text)}`);
      seen.set(text, name);
    }
  }
});

const cents = (sum: string): number => Math.round(Number(sum) * 100);

test('every truth is whole: sums add up, days exist and are in order, and its own answer is judged right', () => {
  fc.assert(
    fc.property(seed, split, (drawn, name) => {
      const { truth, difficulty } = generateOrder(drawn, { split: name });
      assert.ok(difficulty >= 0 && difficulty < 1);
      assert.match(truth.number, /^(PO|BE|CM|AU)-[1-9]\d{2,3}$/);
      assert.match(truth.customer, /^[1-9]\d{2,3}$/);
      assert.match(truth.items, /^[1-9]$/);
      assert.match(truth.express, /^(yes|no)$/);
      for (const sum of [truth.net, truth.vat, truth.total]) assert.match(sum, /^(0|[1-9]\d*)\.\d\d$/);
      assert.equal(cents(truth.net) + cents(truth.vat), cents(truth.total));
      for (const day of [truth.date, truth.due]) assert.equal(new Date(day).toISOString().slice(0, 10), day);
      assert.ok(truth.date <= truth.due);
      assert.ok(isCorrectOrder(writeOrderAnswer(truth), truth));
    }),
  );
});

test('what must be copied stands in the document, as it is or as a scanner misread it', () => {
  const digits: Readonly<Record<string, string>> = { O: '0', o: '0', l: '1', I: '1', Z: '2', S: '5', B: '8', g: '9' };
  for (let drawn = 0; drawn < 2000; drawn++) {
    const { text, truth } = generateOrder(drawn, { split: 'train' });
    const read = text.replaceAll(/[OolIZSBg]/g, (letter) => digits[letter] ?? letter).replaceAll(/[ '.,]/g, '');
    const copied = [
      truth.number.slice(3),
      truth.customer,
      ...[truth.net, truth.vat, truth.total].map((sum) => sum.replace(/\.00$/, '').replace('.', '')),
    ];
    for (const value of copied) assert.ok(read.includes(value), `${value} is not in ${JSON.stringify(text)}`);
  }
});

test('an answer with another value, a missing field, one more or a number is wrong', () => {
  const { truth } = generateOrder(1, { split: 'test' });
  for (const field of ORDER_FIELDS) {
    const { [field]: value, ...others } = truth;
    for (const answer of [
      { ...truth, [field]: `${value}0` },
      others,
      { ...truth, [field]: Number.parseInt(value, 10) },
    ])
      assert.equal(isCorrectOrder(JSON.stringify(answer), truth), false, JSON.stringify(answer));
  }
  assert.equal(isCorrectOrder(JSON.stringify({ ...truth, note: '' }), truth), false);
  for (const text of ['', 'null', '[]', writeOrderAnswer(truth).slice(0, -1)])
    assert.equal(isCorrectOrder(text, truth), false, text);
});

test('an order and its answer fit into the context, and the answer into its limit', () => {
  const tokenizer = loadTokenizer(new URL('../../../weights/orders/tokenizer.json', import.meta.url));
  for (let drawn = 0; drawn < 2000; drawn++) {
    const { text, truth } = generateOrder(drawn, { split: 'test' });
    const answer = tokenizer.encode(writeOrderAnswer(truth)).length + 1;
    assert.ok(answer <= ORDER_ANSWER_TOKENS);
    assert.ok(2 + tokenizer.encode(text).length + answer <= 416);
  }
});
