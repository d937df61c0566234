import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LIMITS } from '../limits.ts';
import { runAtOnce } from '../text/slices.ts';
import { majorityOf, sameAnswer } from './agreement.ts';

/** JSON with its keys in another order and other blanks. */
function rewritten(value: unknown): string {
  if (Array.isArray(value)) return `[ ${value.map(rewritten).join(' ,\n')} ]`;
  if (typeof value !== 'object' || value === null) return ` ${JSON.stringify(value)} `;
  const members = Object.entries(value).toReversed();
  return `{${members.map(([name, one]) => `${JSON.stringify(name)} : ${rewritten(one)}`).join(' , ')}}`;
}

test('the same JSON is the same answer, however it is written, and another one is another', () => {
  fc.assert(
    fc.property(fc.oneof(fc.dictionary(fc.string(), fc.jsonValue()), fc.array(fc.jsonValue())), (value) => {
      const text = JSON.stringify(value);
      assert.ok(sameAnswer(text, rewritten(JSON.parse(text))));
      assert.ok(!sameAnswer(text, JSON.stringify([value])));
    }),
  );
});

test('`.5` is not `5`, and no two numbers that differ are the same', () => {
  assert.ok(!sameAnswer('.5', '5') && sameAnswer('.5', ' .5.') && sameAnswer('5', '5.'));
  assert.ok(!sameAnswer('{"a":0.5}', '{"a":5}'));
  fc.assert(
    fc.property(fc.nat({ max: 999 }), fc.nat({ max: 999 }), (left, right) => {
      assert.equal(sameAnswer(`.${left}`, `${right}`), false);
    }),
  );
});

const deep = (depth: number, inner: string): string => '{"a":['.repeat(depth) + inner + ']}'.repeat(depth);

test('two different answers do not agree, however deep or wide they are', () => {
  for (const depth of [60, 1_000, 50_000]) {
    assert.ok(!sameAnswer(deep(depth, '1'), deep(depth, '2')), `${depth} deep`);
    assert.ok(sameAnswer(deep(depth, '1'), deep(depth, '1')), `${depth} deep`);
  }
  const wide = (last: number): string => `[${'1,'.repeat(200_000)}${last}]`;
  assert.ok(!sameAnswer(wide(1), wide(2)) && sameAnswer(wide(1), wide(1)));
  const long = 'x'.repeat(LIMITS.judgedCharacters);
  assert.ok(!sameAnswer(`${long}1`, `${long}2`) && sameAnswer(`${long}1`, `${long}1`));
});

test('most of several answers are found among deep ones, too', () => {
  const texts = [deep(500, '1'), deep(500, '2'), null, deep(500, '2')];
  assert.equal(runAtOnce(majorityOf(texts)), 1);
});
