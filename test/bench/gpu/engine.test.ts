import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Engine, type EngineSpec, type Progress, type Work } from './engine.ts';

/** Numbers that are easily added by hand. */
const SPEC: EngineSpec = {
  stepMs: 10,
  decodeMs: 1,
  prefillMs: 0.1,
  maxBatch: 4,
  stepTokens: 100,
  blockTokens: 10,
  cacheBlocks: 0,
};

const work = (id: number, promptTokens: number, outputTokens: number, more: Partial<Work> = {}): Work => ({
  id,
  promptTokens,
  outputTokens,
  blocks: [],
  ...more,
});

/** When each request has ended. */
function endsOf(spec: EngineSpec, works: readonly Work[], arrivals: readonly number[] = []): Map<number, Progress> {
  const engine = new Engine(spec);
  const ends = new Map<number, Progress>();
  const note = (progress: readonly Progress[]): void => {
    for (const one of progress) if (one.isFinished) ends.set(one.id, one);
  };
  const come = works.map((one, at) => ({ one, atMs: arrivals[at] ?? 0 })).toSorted((a, b) => a.atMs - b.atMs);
  for (const [atMs, group] of Map.groupBy(come, (each) => each.atMs)) {
    note(engine.advance(atMs));
    engine.submit(
      group.map(({ one }) => one),
      atMs,
    );
  }
  note(engine.advance(Infinity));
  assert.equal(engine.nextMs, null, 'it rests when all is done');
  return ends;
}

const times = (ends: ReadonlyMap<number, Progress>): Record<number, number> =>
  Object.fromEntries([...ends].map(([id, { atMs }]) => [id, Number(atMs.toFixed(6))]));

test('a request alone: its prompt in one step, which makes the first token, then a token a step', () => {
  // 10 + 50 × 0.1 = 15; then two steps of 10 + 1.
  assert.deepEqual(times(endsOf(SPEC, [work(1, 50, 3)])), { 1: 37 });
});

test('a prompt longer than a step has tokens is read in chunks, beside those that decode', () => {
  // Step 1: 100 of A's 150 tokens: 20. Step 2: A's last 50 and 50 of B: 20, A's first token. Step 3: A decodes, B's
  // other 50: 10 + 1 + 5 = 16, both end.
  assert.deepEqual(times(endsOf(SPEC, [work(1, 150, 2), work(2, 100, 1)])), { 1: 56, 2: 56 });
});

test('a batch that is full leaves the others in the queue, in the order in which they came', () => {
  const works = [1, 2, 3].map((id) => work(id, 10, 2));
  // Two at a time. Step 1: two prompts, 12. Step 2: two tokens, 12. Then the third: 11 and 11.
  assert.deepEqual(times(endsOf({ ...SPEC, maxBatch: 2 }, works)), { 1: 24, 2: 24, 3: 46 });
});

test('each sequence gets slower as the batch grows, and all together faster', () => {
  const alone = times(endsOf(SPEC, [work(1, 1, 100)]))[1] ?? 0;
  const together =
    times(
      endsOf(
        SPEC,
        [1, 2, 3, 4].map((id) => work(id, 1, 100)),
      ),
    )[1] ?? 0;
  assert.ok(together > alone && together < 4 * alone);
  assert.ok(Math.abs(together - (10.4 + 99 * 14)) < 1e-6);
});

test('who comes in the middle of a step waits for its end', () => {
  // Step 1 ends at 11. The second comes at 5, is read in step 2 (10 + 1 + 1 = 12): 23.
  assert.deepEqual(times(endsOf(SPEC, [work(1, 10, 2), work(2, 10, 1)], [0, 5])), { 1: 23, 2: 23 });
});

test('the second of two prompts with the same beginning has its whole blocks for nothing', () => {
  const spec = { ...SPEC, cacheBlocks: 100 };
  const blocks = ['a', 'ab', 'abc'];
  // 35 tokens: three blocks and five tokens. The first: 13.5. The second comes then: 10 + 5 × 0.1.
  const ends = endsOf(spec, [work(1, 35, 1, { blocks }), work(2, 35, 1, { blocks: ['a', 'ab', 'abd'] })], [0, 13.5]);
  assert.deepEqual(times(ends), { 1: 13.5, 2: 25 });
  assert.deepEqual([ends.get(1)?.cachedTokens, ends.get(2)?.cachedTokens], [0, 20]);
});

test('of a prompt that is all there its last token is read all the same', () => {
  const blocks = ['a', 'ab'];
  const ends = endsOf({ ...SPEC, cacheBlocks: 9 }, [work(1, 20, 1, { blocks }), work(2, 20, 1, { blocks })], [0, 12]);
  assert.equal(ends.get(2)?.cachedTokens, 19);
});

test('the block that was needed least lately goes first', () => {
  const spec = { ...SPEC, cacheBlocks: 2 };
  const works = [['a', 'ab'], ['c'], ['a', 'ab']].map((blocks, id) => work(id, 25, 1, { blocks }));
  const ends = endsOf(spec, works, [0, 100, 200]);
  assert.deepEqual(
    [...ends.values()].map(({ cachedTokens }) => cachedTokens),
    [0, 0, 10],
  );
});

test('a request that is streamed tells each token; one that was cancelled tells nothing and leaves its place', () => {
  const engine = new Engine({ ...SPEC, maxBatch: 1 });
  engine.submit([work(1, 10, 3, { isStreamed: true }), work(2, 10, 1), work(3, 10, 1)], 0);
  assert.deepEqual(engine.advance(11), [{ id: 1, atMs: 11, tokens: 1, cachedTokens: 0, isFinished: false }]);
  engine.cancel(1);
  engine.cancel(3);
  assert.deepEqual(
    engine.advance(Infinity).map(({ id, atMs }) => ({ id, atMs })),
    [{ id: 2, atMs: 33 }],
  );
});

const anyWork = fc.record({
  promptTokens: fc.integer({ min: 1, max: 400 }),
  outputTokens: fc.integer({ min: 1, max: 30 }),
  family: fc.integer({ min: 0, max: 3 }),
});
const anyWorks = fc.array(anyWork, { minLength: 1, maxLength: 30 }).map((all) =>
  all.map(({ family, promptTokens, outputTokens }, id) =>
    work(id, promptTokens, outputTokens, {
      blocks: Array.from({ length: Math.floor(promptTokens / SPEC.blockTokens) }, (_, at) => `${family}-${at}`),
    }),
  ),
);
const anySpec = fc
  .record({ maxBatch: fc.integer({ min: 1, max: 12 }), stepTokens: fc.integer({ min: 12, max: 200 }) })
  .map((more): EngineSpec => ({ ...SPEC, ...more }));

const lastMs = (ends: ReadonlyMap<number, Progress>): number => Math.max(...[...ends.values()].map(({ atMs }) => atMs));

test('everyone is answered once, whole, and nobody sooner than the server can', () => {
  const arrivals = fc.array(fc.integer({ min: 0, max: 2_000 }), { minLength: 30, maxLength: 30 });
  fc.assert(
    fc.property(anySpec, anyWorks, arrivals, (spec, works, comes) => {
      const ends = endsOf(spec, works, comes);
      assert.equal(ends.size, works.length);
      for (const { id, promptTokens, outputTokens } of works) {
        const chunks = Math.ceil(promptTokens / spec.stepTokens);
        const leastMs =
          promptTokens * spec.prefillMs + (outputTokens - 1) * (spec.stepMs + spec.decodeMs) + chunks * spec.stepMs;
        const end = ends.get(id);
        assert.ok(end !== undefined && end.tokens === outputTokens);
        assert.ok(end.atMs - (comes[id] ?? 0) >= leastMs - 1e-6);
      }
    }),
  );
});

test('no more tokens are served than the rates allow: a busy server takes just what its steps take', () => {
  fc.assert(
    fc.property(anySpec, anyWorks, (spec, works) => {
      const sum = (of: (one: Work) => number): number => works.reduce((total, one) => total + of(one), 0);
      const tokensMs =
        sum(({ promptTokens }) => promptTokens) * spec.prefillMs +
        sum(({ outputTokens }) => outputTokens - 1) * spec.decodeMs;
      const stepsMs = lastMs(endsOf(spec, works)) - tokensMs;
      const steps = Math.round(stepsMs / spec.stepMs);
      assert.ok(Math.abs(stepsMs - steps * spec.stepMs) < 1e-6, 'what is left is whole steps');
      const tokens = sum(({ promptTokens, outputTokens }) => promptTokens + outputTokens - 1);
      assert.ok(steps >= Math.ceil(tokens / spec.stepTokens));
      assert.ok(steps * spec.maxBatch >= sum(({ outputTokens }) => outputTokens));
    }),
  );
});

test('nobody starves: what comes later takes nothing from who waits', () => {
  fc.assert(
    fc.property(anySpec, anyWorks, anyWorks, (spec, works, later) => {
      const more = later.map((one) => ({ ...one, id: one.id + works.length }));
      const alone = endsOf(spec, works);
      const crowded = endsOf(spec, [...works, ...more]);
      // Later ones may share steps with the earlier, and so make them longer, but never put one off to a later step.
      const sharedMs = more.length * 500 * (spec.prefillMs + spec.decodeMs);
      for (const { id } of works)
        assert.ok((crowded.get(id)?.atMs ?? Infinity) <= (alone.get(id)?.atMs ?? 0) + sharedMs);
    }),
  );
});

test('the prefix cache makes nothing slower: all that waits at the start is done no later', () => {
  fc.assert(
    fc.property(anySpec, anyWorks, fc.integer({ min: 1, max: 60 }), (spec, works, cacheBlocks) => {
      const without = lastMs(endsOf(spec, works));
      assert.ok(lastMs(endsOf({ ...spec, cacheBlocks }, works)) <= without + 1e-6);
    }),
    { numRuns: 1_000 },
  );
});
