import assert from 'node:assert/strict';
import { test } from 'node:test';
import { namesIn, sectionOf, tableOf } from '../docs/documents.ts';
import { ROWS } from './rows.ts';
import { best, interleave, type Run } from './run.ts';

const RUN: Run = { rounds: 3, isQuick: true, large: 1, speed: 1, tell: () => undefined };

test('the measures of a round take turns in being first', async () => {
  const order: string[] = [];
  const measure = (name: string) => async (): Promise<number> => order.push(name);
  const found = await interleave(RUN, { a: measure('a'), b: measure('b'), c: measure('c') });
  assert.deepEqual(order.join(''), 'abcbcacab');
  assert.deepEqual(found, { a: [1, 6, 8], b: [2, 4, 9], c: [3, 5, 7] }, 'each in the order of the rounds');
});

test('the best choice is the one whose measure is highest', async () => {
  assert.equal(await best([16, 32, 64], async (choice) => -Math.abs(choice - 40)), 32);
});

test('CONTRIBUTING.md lists the rows', () => {
  const rows = tableOf(sectionOf('CONTRIBUTING.md', 'Benches'), 'row');
  assert.deepEqual(
    rows.map(([name = '']) => namesIn(name)[0]),
    Object.keys(ROWS),
  );
});
