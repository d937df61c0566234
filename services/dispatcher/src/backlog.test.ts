import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Backlog } from './backlog.ts';

const always = (): boolean => true;
const idsOf = (taken: readonly { readonly id: string }[]): string[] => taken.map(({ id }) => id);

test('tenants take turns, and those of each go in the order in which they came', () => {
  const backlog = new Backlog();
  for (let at = 0; at < 1_000; at += 1) backlog.add(`a${at}`, 'a');
  backlog.add('b0', 'b');
  backlog.add('c0', 'c');
  assert.deepEqual(idsOf(backlog.take(4, always)), ['a0', 'b0', 'c0', 'a1']);
  for (const id of ['a0', 'a1', 'b0']) backlog.drop(id);
  assert.deepEqual(idsOf(backlog.take(2, always)), ['c0', 'a2'], 'the tenant that was served last is the last one');
  assert.equal(backlog.size, 999);
});

test('what is not ready is passed over, and what was taken and not dropped comes again after the others', () => {
  const backlog = new Backlog();
  for (const id of ['x', 'y', 'z']) backlog.add(id, 'a');
  assert.deepEqual(idsOf(backlog.take(1, (id) => id !== 'x')), ['y']);
  assert.deepEqual(idsOf(backlog.take(9, always)), ['x', 'z', 'y']);
  for (const id of ['x', 'y', 'z']) backlog.drop(id);
  assert.deepEqual([backlog.take(9, always), [...backlog.tenants()]], [[], []]);
});
