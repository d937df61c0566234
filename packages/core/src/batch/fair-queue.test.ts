import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FairQueue } from './fair-queue.ts';
import { FairShare } from './fair-share.ts';
import { Heap } from './heap.ts';

/** What happens to a flow: it becomes ready, is not ready any more, or whichever is next is served. */
const event = fc.oneof(
  fc.record({ kind: fc.constant('put' as const), flow: fc.integer({ min: 0, max: 12 }) }),
  fc.record({ kind: fc.constant('drop' as const), flow: fc.integer({ min: 0, max: 12 }) }),
  fc.record({ kind: fc.constant('serve' as const), cost: fc.integer({ min: 1, max: 9 }) }),
);

test('a queue names the flow that the share itself chooses among all that are ready, whatever came before', () => {
  fc.assert(
    fc.property(fc.array(event, { maxLength: 200 }), (events) => {
      const share = new FairShare();
      const queue = new FairQueue(share);
      const ready = new Set<number>();
      for (const one of events) {
        if (one.kind === 'put') {
          ready.add(one.flow);
          queue.put(`${one.flow}`, one.flow);
        } else if (one.kind === 'drop') {
          ready.delete(one.flow);
          queue.drop(`${one.flow}`);
        } else {
          const flow = queue.next()?.flow;
          if (flow === undefined) continue;
          share.spend(flow, one.cost);
          queue.put(flow, Number(flow));
        }
        const inOrder = [...ready].toSorted((left, right) => left - right).map(String);
        assert.equal(queue.next()?.flow ?? null, share.next(inOrder));
        assert.equal(queue.size, ready.size);
      }
    }),
  );
});

test('what a choice costs does not grow with how many are ready: compared, not timed', () => {
  const comparisons = (flows: number): number => {
    let count = 0;
    const heap = new Heap<number>((left, right) => {
      count += 1;
      return left < right;
    });
    for (let at = 0; at < flows; at += 1) heap.push((at * 7919) % flows);
    count = 0;
    for (let at = 0; at < 100; at += 1) heap.push((heap.pop() ?? 0) + flows);
    return count;
  };
  assert.ok(comparisons(64_000) < 3 * comparisons(1_000), `${comparisons(64_000)} and ${comparisons(1_000)}`);
});

test('a heap gives back what was put in, least first', () => {
  fc.assert(
    fc.property(fc.array(fc.integer()), (items) => {
      const heap = new Heap<number>((left, right) => left < right);
      for (const item of items) heap.push(item);
      assert.equal(heap.size, items.length);
      const sorted = items.map(() => heap.pop());
      assert.deepEqual(
        sorted,
        items.toSorted((left, right) => left - right),
      );
      assert.equal(heap.pop(), undefined);
    }),
  );
});
