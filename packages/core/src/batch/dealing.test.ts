import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { dealt, inRow } from './dealing.ts';

/** The flows by their places after a deal. */
function dealtFlows(flows: readonly string[], precedence: readonly string[]): string[] {
  const after = [...flows];
  const moves = dealt(
    flows.map((flow) => ({ flow })),
    precedence,
  );
  for (const { job, to } of moves) after[to] = flows[job] ?? '';
  return after;
}

test('those with precedence get the first places, in its order, and those in between stay', () => {
  assert.deepEqual(dealtFlows(['a', 'b', 'c', 'a', 'x', 'b', 'x'], ['x', 'b']), ['x', 'x', 'b', 'b', 'a', 'c', 'a']);
  assert.deepEqual(dealtFlows(['a', 'c', 'c', 'a', 'x'], ['x']), ['x', 'c', 'c', 'a', 'a']);
  assert.deepEqual(dealt([{ flow: 'x' }, { flow: 'x' }, { flow: 'a' }], ['x']), []);
});

test('every job keeps a place of its own, and at most two move for each that has precedence', () => {
  const flow = fc.constantFrom('a', 'b', 'c', 'd');
  fc.assert(
    fc.property(fc.array(flow), fc.uniqueArray(flow), (flows, precedence) => {
      const after = dealtFlows(flows, precedence);
      assert.deepEqual(after.toSorted(), flows.toSorted());
      const first = flows.filter((one) => precedence.includes(one));
      const inOrder = precedence.flatMap((one) => first.filter((other) => other === one));
      assert.deepEqual(after.slice(0, first.length), inOrder);
      const moves = dealt(
        flows.map((one) => ({ flow: one })),
        precedence,
      );
      assert.ok(moves.length <= 2 * first.length);
      assert.equal(new Set(moves.map(({ to }) => to)).size, moves.length);
    }),
  );
});

test('jobs stand in a row from where the first one stands, or from before it, or about there as they are', () => {
  const job = fc.record({ tag: fc.integer({ min: 1, max: 500 }), documents: fc.integer({ min: 1, max: 16 }) });
  fc.assert(
    fc.property(fc.array(job), fc.integer({ min: 1, max: 600 }), (drawn, from) => {
      const jobs = drawn.toSorted((left, right) => left.tag - right.tag);
      const row = inRow(jobs, from);
      const tags = row ?? jobs.map(({ tag }) => tag);
      const all = jobs.reduce((sum, { documents }) => sum + documents, 0);
      const most = Math.max(0.02 * all, ...jobs.map(({ documents }) => documents));
      let before = 0;
      for (const [at, { documents }] of jobs.entries()) {
        assert.ok(
          Math.abs((tags[at] ?? 0) - (Math.min(from, jobs[0]?.tag ?? 0) + before)) <= (row === null ? most : 0),
        );
        before += documents;
      }
      const again = row?.map((tag, at) => ({ tag, documents: jobs[at]?.documents ?? 0 })) ?? jobs;
      assert.equal(inRow(again, from), null, 'done once, all stands');
    }),
  );
});
