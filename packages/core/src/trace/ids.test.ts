import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { jobOf } from '../../../../test/support/jobs.ts';
import { LIMITS } from '../limits.ts';
import { batchTrace, isDrawn, TraceIds, traceparentOf, type AttemptPart } from './ids.ts';

const enqueued = jobOf({ document: 7, enqueuedAtMs: 1_000 });
const PARTS: readonly AttemptPart[] = ['wait', 'work', 'call'];

test('a traceparent has the form of W3C Trace Context', () => {
  const header = traceparentOf(enqueued, { stage: 0, attempt: 1, extra: null, sampled: false });
  assert.match(header, /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
  const ids = new TraceIds(enqueued);
  assert.ok(header.includes(ids.root.traceId));
  assert.equal(header.split('-')[2], ids.spanId(0, 1, 'call'));
  const extra = traceparentOf(enqueued, { stage: 2, attempt: 3, extra: 4, sampled: true });
  assert.equal(extra, `00-${ids.root.traceId}-${ids.extraSpanId(2, 3, 4)}-01`);
});

test('a document that is enqueued again after a loss begins a new trace; its ids are the same for everybody', () => {
  const { root } = new TraceIds(enqueued);
  assert.deepEqual(new TraceIds({ ...enqueued }).root, root);
  for (const other of [{ enqueuedAtMs: 1 }, { document: 8 }, { batch: 'b' }]) {
    assert.notEqual(new TraceIds({ ...enqueued, ...other }).root.traceId, root.traceId);
  }
  assert.notDeepEqual(batchTrace('a'), batchTrace('b'));
});

test('ids are unique over all stages, attempts, their parts, and calls beside a draft’s own', () => {
  const ids = new TraceIds(enqueued);
  const all = new Set([ids.root.spanId]);
  let made = 1;
  const add = (id: string): void => {
    assert.match(id, /^[0-9a-f]{16}$/);
    all.add(id);
    made += 1;
  };
  for (let stage = 0; stage < LIMITS.cascadeStages; stage += 1) {
    for (const attempt of [1, 2, 3, 20, 500, 2_047]) {
      for (const part of PARTS) add(ids.spanId(stage, attempt, part));
      for (let index = 0; index < 20; index += 1) add(ids.extraSpanId(stage, attempt, index));
    }
    for (const part of PARTS) add(ids.spanId(stage, 4_095, part));
  }
  assert.equal(all.size, made);
});

test('whatever two spans are of, they share an id only if they are the same', () => {
  const ids = new TraceIds(enqueued);
  const span = fc.record({
    stage: fc.nat(LIMITS.cascadeStages - 1),
    attempt: fc.integer({ min: 1, max: 2_047 }),
    part: fc.oneof(fc.constantFrom(...PARTS), fc.nat(19)),
  });
  type Span = typeof span extends fc.Arbitrary<infer Value> ? Value : never;
  const idOf = ({ stage, attempt, part }: Span) =>
    typeof part === 'number' ? ids.extraSpanId(stage, attempt, part) : ids.spanId(stage, attempt, part);
  fc.assert(
    fc.property(span, span, (one, other) => {
      const isSame = one.stage === other.stage && one.attempt === other.attempt && one.part === other.part;
      assert.equal(idOf(one) === idOf(other), isSame);
    }),
    { numRuns: 2_000 },
  );
});

test('beyond what ids tell apart they repeat, and stay ids', () => {
  const ids = new TraceIds(enqueued);
  for (const attempt of [4_096, 1e9]) assert.match(ids.spanId(7, attempt, 'call'), /^[0-9a-f]{16}$/);
  assert.match(ids.extraSpanId(1e6, 1e6, 1e6), /^[0-9a-f]{16}$/);
});

test('a share of nothing draws nobody, the whole draws everybody', () => {
  assert.equal(isDrawn({ batch: 'b', document: 1 }, 0), false);
  assert.equal(isDrawn({ batch: 'b', document: 1 }, 1), true);
});
