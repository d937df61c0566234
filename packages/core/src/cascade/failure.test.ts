import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  afterRefusal,
  breakerWaitsMs,
  decideFault,
  holdBackoffMs,
  isRefusedForItself,
  isUnderstood,
  type Fault,
  type Refused,
} from './failure.ts';

const http = (status: number, retryAfterMs: number | null = null): Fault => ({
  kind: 'http',
  status,
  body: null,
  retryAfterMs,
  requestId: null,
});

const fresh = { usedAttempts: 1, maxAttempts: 4, refusals: 0, jitter: 1 };
const spent = { usedAttempts: 4, maxAttempts: 4, refusals: 0, jitter: 1 };

test('what is not the document’s fault holds the tier and uses no attempt, however many are used', () => {
  for (const state of [fresh, spent]) {
    for (const status of [429, 503]) {
      const asked = decideFault(http(status, 7_000), state);
      assert.ok(asked.kind === 'hold' && asked.retryAfterMs === 7_000);
      const unasked = decideFault(http(status), state);
      assert.ok(unasked.kind === 'hold' && unasked.retryAfterMs === null);
    }
    assert.equal(decideFault(http(401), state).kind, 'hold');
    const down = decideFault({ kind: 'unreachable', message: 'connect ECONNREFUSED' }, state);
    assert.deepEqual(down, { kind: 'hold', retryAfterMs: null, reason: 'connect ECONNREFUSED', server: 'down' });
  }
});

test('other 4xx are final at once', () => {
  for (const status of [400, 403, 404, 405, 413, 422]) {
    assert.deepEqual(decideFault(http(status), fresh), { kind: 'final', rejected: true });
  }
});

test('what is about the moment is retried until the attempts are used', () => {
  const faults: Fault[] = [
    ...[408, 409, 500, 502, 504, 529].map((status) => http(status)),
    { kind: 'reset', message: 'ECONNRESET' },
    { kind: 'timeout', message: 'no answer' },
    { kind: 'garbled', status: 200, message: 'no completion' },
  ];
  for (const fault of faults) {
    assert.deepEqual(decideFault(fault, fresh), { kind: 'retry', afterMs: 500 });
    assert.deepEqual(decideFault(fault, spent), { kind: 'final', rejected: false });
  }
});

test('the pause doubles, is bounded, and the jitter takes off up to a half', () => {
  const after = (usedAttempts: number, jitter: number) => {
    const decision = decideFault(http(500), { usedAttempts, maxAttempts: 100, refusals: 0, jitter });
    return decision.kind === 'retry' ? decision.afterMs : null;
  };
  assert.deepEqual(
    [1, 2, 3, 50].map((usedAttempts) => after(usedAttempts, 1)),
    [500, 1_000, 2_000, 30_000],
  );
  assert.deepEqual(
    [1, 2].map((usedAttempts) => after(usedAttempts, 0)),
    [250, 500],
  );
});

test('a server that asks for a longer pause before the next attempt gets it', () => {
  assert.deepEqual(decideFault(http(500, 60_000), fresh), { kind: 'retry', afterMs: 60_000 });
});

test('no pause that a server asks for is longer than an hour', () => {
  const decision = decideFault(http(429, 1e12), fresh);
  assert.ok(decision.kind === 'hold' && decision.retryAfterMs === 3_600_000);
});

const fault: fc.Arbitrary<Fault> = fc.oneof(
  fc.record({
    kind: fc.constant('http' as const),
    status: fc.integer({ min: -1, max: 1000 }),
    body: fc.anything(),
    retryAfterMs: fc.option(fc.double()),
    requestId: fc.constant(null),
  }),
  fc.record({
    kind: fc.constantFrom('unreachable' as const, 'timeout' as const, 'reset' as const),
    message: fc.string(),
  }),
  fc.record({ kind: fc.constant('garbled' as const), status: fc.option(fc.integer()), message: fc.string() }),
);

test('every wait is finite and bounded, and attempts run out, whatever comes', () => {
  fc.assert(
    fc.property(
      fault,
      fc.double(),
      fc.double(),
      fc.double(),
      fc.nat(40),
      (one, usedAttempts, maxAttempts, jitter, refusals) => {
        const decision = decideFault(one, { usedAttempts, maxAttempts, refusals, jitter });
        if (decision.kind === 'retry') {
          assert.ok(decision.afterMs >= 250 && decision.afterMs <= 3_600_000);
          assert.ok(usedAttempts < maxAttempts);
        }
        if (decision.kind === 'hold' && decision.retryAfterMs !== null)
          assert.ok(decision.retryAfterMs >= 0 && decision.retryAfterMs <= 3_600_000);
      },
    ),
  );
});

test('a breaker waits longer the more often it opened, up to a limit', () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1, noNaN: true }), (jitter) => {
      const waits = breakerWaitsMs(jitter);
      assert.deepEqual(
        waits,
        waits.toSorted((left, right) => left - right),
      );
      assert.ok((waits[0] ?? 0) >= 250 && (waits.at(-1) ?? 0) >= 15_000 && (waits.at(-1) ?? 0) <= 30_000);
    }),
  );
});

test('so does what is waited for after any number of failures', () => {
  fc.assert(
    fc.property(fc.nat({ max: 1000 }), fc.double({ min: 0, max: 1, noNaN: true }), (failures, jitter) => {
      assert.ok(holdBackoffMs(failures + 1, jitter) >= holdBackoffMs(failures, jitter));
      assert.ok(holdBackoffMs(failures, jitter) >= 250 && holdBackoffMs(failures, jitter) <= 30_000);
      assert.equal(breakerWaitsMs(jitter)[Math.min(failures, 6)], holdBackoffMs(Math.min(failures, 6) + 1, jitter));
    }),
  );
});

test('a document that was refused for good has the refusal for its answer; a server that is down has none', () => {
  const refused = { ...fresh, refusals: 20 };
  for (const status of [429, 503]) {
    assert.equal(decideFault(http(status), { ...refused, refusals: 19 }).kind, 'hold');
    assert.deepEqual(decideFault(http(status), refused), { kind: 'final', rejected: false });
  }
  assert.equal(decideFault(http(401), refused).kind, 'hold');
  assert.equal(decideFault({ kind: 'unreachable', message: 'down' }, refused).kind, 'hold');
});

test('what a server says that takes no more is told apart from one that answers nobody', () => {
  const said = [http(429), http(503), http(401), { kind: 'unreachable', message: 'down' } as const].map((one) => {
    const decision = decideFault(one, fresh);
    return decision.kind === 'hold' && decision.server;
  });
  assert.deepEqual(said, ['limited', 'unavailable', 'down', 'down']);
});

test('only refusals with an answer to somebody else in between count against a document', () => {
  let refused: Refused = afterRefusal(undefined, 0, 1_000);
  assert.deepEqual(refused, { times: 1, atMs: 1_000 }, 'the first one counts, whoever was answered');
  refused = afterRefusal(refused, 900, 2_000);
  assert.deepEqual(refused, { times: 1, atMs: 2_000 }, 'nobody was answered since');
  for (let times = 2; times <= 4; times += 1) {
    refused = afterRefusal(refused, refused.atMs + 1, refused.atMs + 1_000);
    assert.equal(refused.times, times);
    assert.equal(isRefusedForItself(refused), times > 3);
  }
});

test('a server that calls a request wrong has understood it; one that refuses, fails or is not there has not', () => {
  for (const status of [400, 403, 404, 405, 413, 422]) assert.equal(isUnderstood(http(status)), true, `${status}`);
  for (const status of [401, 408, 409, 429, 500, 503, 529])
    assert.equal(isUnderstood(http(status)), false, `${status}`);
  assert.equal(isUnderstood({ kind: 'unreachable', message: 'down' }), false);
  assert.equal(isUnderstood({ kind: 'garbled', status: 400, message: 'no' }), false);
});
