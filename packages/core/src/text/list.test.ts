import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listedNames } from './list.ts';

test('names are read out; of many the first, and how many more', () => {
  assert.equal(listedNames([]), '');
  assert.equal(listedNames(['a']), "'a'");
  assert.equal(listedNames(['a', 'b', 'c']), "'a', 'b' and 'c'");
  const many = Array.from({ length: 1_000 }, (_, at) => `${at}${'😀'.repeat(100)}`);
  assert.match(listedNames(many), / and 990 more$/);
  assert.ok(listedNames(many).length < 1_000 && listedNames(many).isWellFormed());
});
