import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decideFault, gateBackoffMs, gateWaitsMs, type Fault } from './failure.ts';

const http = (status: number, retryAfterMs: number | null = null): Fault => ({
  kind: 'http',
  status,
  body: null,
  retryAfterMs,
  requestId: null,
});

const fresh = { tries: 1, maxTries: 4, refusals: 0, jitter: 1 };
const spent = { tries: 4, maxTries: 4, refusals: 0, jitter: 1 };

test('what is not the document’s fault closes the gate and uses no try, however many are used', () => {
  for (const state of [fresh, spent]) {
    for (const status of [429, 503]) {
      const told = decideFault(http(status, 7_000), state);
      assert.ok(told.kind === 'gate' && told.toldMs === 7_000);
      const untold = decideFault(http(status), state);
      assert.ok(untold.kind === 'gate' && untold.toldMs === null);
    }
    assert.equal(decideFault(http(401), state).kind, 'gate');
    const down = decideFault({ kind: 'unreachable', message: 'connect ECONNREFUSED' }, state);
    assert.deepEqual(down, { kind: 'gate', toldMs: null, reason: 'connect ECONNREFUSED', says: 'down' });
  }
});

test('other 4xx are final at once', () => {
  for (const status of [400, 403, 404, 405, 413, 422]) {
    assert.deepEqual(decideFault(http(status), fresh), { kind: 'final', rejected: true });
  }
});

test('trouble of the moment is tried again until the tries are used', () => {
  const faults: Fault[] = [
    ...[408, 409, 500, 502, 504, 529].map((status) => http(status)),
    { kind: 'reset', message: 'ECONNRESET' },
    { kind: 'timeout', message: 'no answer' },
    { kind: 'garbled', status: 200, message: 'no completion' },
  ];
  for (const fault of faults) {
    assert.deepEqual(decideFault(fault, fresh), { kind: 'again', afterMs: 500 });
    assert.deepEqual(decideFault(fault, spent), { kind: 'final', rejected: false });
  }
});

test('the pause doubles, is bounded, and the jitter takes off up to a half', () => {
  const after = (tries: number, jitter: number) => {
    const decision = decideFault(http(500), { tries, maxTries: 100, refusals: 0, jitter });
    return decision.kind === 'again' ? decision.afterMs : null;
  };
  assert.deepEqual(
    [1, 2, 3, 50].map((tries) => after(tries, 1)),
    [500, 1_000, 2_000, 30_000],
  );
  assert.deepEqual(
    [1, 2].map((tries) => after(tries, 0)),
    [250, 500],
  );
});

test('a server that asks for a longer pause before the next try gets it', () => {
  assert.deepEqual(decideFault(http(500, 60_000), fresh), { kind: 'again', afterMs: 60_000 });
});

test('no pause that a server asks for is longer than an hour', () => {
  const decision = decideFault(http(429, 1e12), fresh);
  assert.ok(decision.kind === 'gate' && decision.toldMs === 3_600_000);
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

test('every wait is finite and bounded, and tries run out, whatever comes', () => {
  fc.assert(
    fc.property(fault, fc.double(), fc.double(), fc.double(), fc.nat(40), (one, tries, maxTries, jitter, refusals) => {
      const decision = decideFault(one, { tries, maxTries, refusals, jitter });
      if (decision.kind === 'again') {
        assert.ok(decision.afterMs >= 250 && decision.afterMs <= 3_600_000);
        assert.ok(tries < maxTries);
      }
      if (decision.kind === 'gate' && decision.toldMs !== null)
        assert.ok(decision.toldMs >= 0 && decision.toldMs <= 3_600_000);
    }),
  );
});

test('a gate waits longer the more often it closed, up to a limit', () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1, noNaN: true }), (jitter) => {
      const waits = gateWaitsMs(jitter);
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
      assert.ok(gateBackoffMs(failures + 1, jitter) >= gateBackoffMs(failures, jitter));
      assert.ok(gateBackoffMs(failures, jitter) >= 250 && gateBackoffMs(failures, jitter) <= 30_000);
      assert.equal(gateWaitsMs(jitter)[Math.min(failures, 6)], gateBackoffMs(Math.min(failures, 6) + 1, jitter));
    }),
  );
});

test('a document that was refused for good has the refusal for its answer; a server that is down has none', () => {
  const refused = { ...fresh, refusals: 20 };
  for (const status of [429, 503]) {
    assert.equal(decideFault(http(status), { ...refused, refusals: 19 }).kind, 'gate');
    assert.deepEqual(decideFault(http(status), refused), { kind: 'final', rejected: false });
  }
  assert.equal(decideFault(http(401), refused).kind, 'gate');
  assert.equal(decideFault({ kind: 'unreachable', message: 'down' }, refused).kind, 'gate');
});

test('what a server says that takes no more is told apart from one that answers nobody', () => {
  const said = [http(429), http(503), http(401), { kind: 'unreachable', message: 'down' } as const].map((one) => {
    const decision = decideFault(one, fresh);
    return decision.kind === 'gate' && decision.says;
  });
  assert.deepEqual(said, ['limited', 'refused', 'down', 'down']);
});
