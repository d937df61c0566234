import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { route } from './route.ts';

const scored = (confidence: number) => ({ kind: 'scored', fields: null, score: -0.1, confidence }) as const;

test('a confidence at the threshold is final', () => {
  assert.deepEqual(route(scored(0.9), { acceptAt: 0.9 }), {
    kind: 'accept',
    confidence: 0.9,
    score: -0.1,
    fields: null,
    acceptAt: 0.9,
  });
  assert.deepEqual(route(scored(0.8999), { acceptAt: 0.9 }), {
    kind: 'escalate',
    reason: 'low_confidence',
    confidence: 0.8999,
    score: -0.1,
    fields: null,
    acceptAt: 0.9,
  });
});

test('what has no evidence escalates with its reason, even at threshold 0', () => {
  assert.deepEqual(route({ kind: 'no_evidence', reason: 'truncated' }, { acceptAt: 0 }), {
    kind: 'escalate',
    reason: 'truncated',
    confidence: null,
    score: null,
    fields: null,
    acceptAt: 0,
  });
});

test('what is not a number, or not a probability, never accepts', () => {
  for (const confidence of [Number.NaN, Infinity, 1.5]) {
    assert.equal(route(scored(confidence), { acceptAt: 0 }).kind, 'escalate');
  }
  assert.equal(route(scored(1), { acceptAt: Number.NaN }).kind, 'escalate');
});

test('accepts exactly from the threshold on', () => {
  const share = fc.double({ min: 0, max: 1, noNaN: true });
  fc.assert(
    fc.property(share, share, (confidence, acceptAt) => {
      const decision = route(scored(confidence), { acceptAt });
      assert.equal(decision.kind, confidence >= acceptAt ? 'accept' : 'escalate');
      assert.equal(decision.acceptAt, acceptAt);
    }),
  );
});

test('a surer draft is never treated worse', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.double(),
      (a, b, acceptAt) => {
        const [low, high] = [Math.min(a, b), Math.max(a, b)];
        if (route(scored(low), { acceptAt }).kind === 'accept') {
          assert.equal(route(scored(high), { acceptAt }).kind, 'accept');
        }
      },
    ),
  );
});

test('a shadow run accepts nothing, and says what it would have judged', () => {
  const share = fc.double({ min: 0, max: 1, noNaN: true });
  fc.assert(
    fc.property(share, share, (confidence, acceptAt) => {
      const score = -0.1;
      const expected = { kind: 'escalate', reason: 'shadow_run', confidence, score, fields: null, acceptAt };
      assert.deepEqual(route(scored(confidence), { acceptAt, shadow: true }), expected);
    }),
  );
  const cut = route({ kind: 'no_evidence', reason: 'truncated' }, { acceptAt: 0, shadow: true });
  assert.equal(cut.kind === 'escalate' && cut.reason, 'truncated', 'what cannot be judged keeps its own reason');
});

test('the least sure values go with the decision, either way', () => {
  const fields = [{ path: '/total', score: -0.1 }];
  for (const acceptAt of [0, 1]) {
    assert.deepEqual(route({ ...scored(0.5), fields }, { acceptAt }).fields, fields);
  }
});
