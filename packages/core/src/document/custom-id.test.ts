import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { writtenId } from './custom-id.ts';

test('an id of whole characters stays; half of one is written by its number', () => {
  assert.equal(writtenId('😀 ü'), '😀 ü');
  assert.equal(writtenId('a\ud83d'), 'a\ufffdd83d');
  assert.equal(writtenId('\ude00\ud83d'), '\ufffdde00\ufffdd83d');
});

test('ids that differ are written as different ones that every reader takes', () => {
  const unit = fc.constantFrom('a', '\ud83d', '\ud83e', '\ude00', '😀', 'd83d');
  const id = fc.array(unit, { minLength: 1, maxLength: 6 }).map((units) => units.join(''));
  fc.assert(
    fc.property(id, id, (left, right) => {
      assert.ok(writtenId(left).isWellFormed());
      assert.equal(writtenId(left) === writtenId(right), left === right);
      assert.equal(writtenId(writtenId(left)), writtenId(left));
    }),
  );
});
