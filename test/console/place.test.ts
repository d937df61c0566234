import assert from 'node:assert/strict';
import { test } from 'node:test';
import { holds, isResultField, parseWhere } from '@spillway/core';
import fc from 'fast-check';
import { conditionOf, NO_CHOICES } from '../../packages/console/app/condition.ts';
import { addressOf, placeOf, type Place } from '../../packages/console/app/place.ts';
import { valuesOf } from '../../packages/console/app/result.ts';

const id = fc
  .string({ minLength: 1, unit: 'grapheme' })
  .filter((text) => text.isWellFormed() && text !== '.' && text !== '..');

test('an address leads to its place, whatever ids there are', () => {
  const place: fc.Arbitrary<Place> = fc.oneof(
    fc.record({ view: fc.constantFrom('batches' as const, 'create' as const, 'tiers' as const) }),
    fc.record({ view: fc.constant('batch' as const), batch: id }),
    fc.record({
      view: fc.constantFrom('documents' as const, 'review' as const),
      batch: id,
      where: fc.string({ unit: 'grapheme' }),
    }),
    fc.record({ view: fc.constant('document' as const), batch: id, customId: id }),
  );
  fc.assert(fc.property(place, (one) => assert.deepEqual({ ...placeOf(addressOf(one)) }, { ...one })));
  assert.deepEqual(placeOf('#/batches/%zz'), { view: 'batch', batch: '%zz' });
  for (const folder of ['.', '..', '%2e']) assert.deepEqual(placeOf(`#/batches/${folder}`), { view: 'batches' });
});

test('what is chosen is a condition that the API reads', () => {
  const number = fc.oneof(fc.constant(''), fc.double({ min: 0, max: 1, noNaN: true }).map(String));
  const choices = fc.record({
    text: fc.string({ unit: fc.oneof(fc.string({ unit: 'grapheme', maxLength: 1 }), fc.constantFrom('"', '\\', ' ')) }),
    by: fc.constantFrom('' as const, 'drafter' as const, 'expert' as const, 'nobody' as const),
    reason: fc.oneof(fc.constant(''), fc.string()),
    from: number,
    to: number,
    attempts: fc.constantFrom('', '2'),
  });
  fc.assert(
    fc.property(choices, (one) => {
      const text = conditionOf(one);
      if (text !== '') parseWhere(text, isResultField);
    }),
  );
  const word = fc.string({ minLength: 1 }).filter((text) => !/\s/.test(text));
  fc.assert(
    fc.property(word, (text) => {
      const condition = parseWhere(conditionOf({ ...NO_CHOICES, text }), isResultField);
      assert.ok(
        holds(condition, (name) => (name === 'answer' ? `before ${text.toUpperCase()}` : null)) ||
          text.toLowerCase() !== text.toUpperCase().toLowerCase(),
      );
      assert.ok(!holds(condition, () => null));
    }),
  );
});

test('values stand by their pointers', () => {
  const text = '{"a": {"b": [1, "x"]}, "c": null, "d": {}}';
  assert.deepEqual(Object.fromEntries(valuesOf(text) ?? []), {
    '/a/b/0': '1',
    '/a/b/1': 'x',
    '/c': 'null',
    '/d': '{}',
  });
  assert.equal(valuesOf('[1]'), null);
  assert.equal(valuesOf('{'), null);
});
