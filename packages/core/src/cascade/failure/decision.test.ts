import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { classOf, decideFault, holdBackoffMs, isUnderstood, operatorReason, type Fault } from './index.ts';

const http = (status: number, body: unknown = null, retryAfterMs: number | null = null): Fault => ({
  kind: 'http',
  status,
  body,
  retryAfterMs,
  requestId: null,
});

const said = (message: string, rest: object = {}): object => ({ error: { message, ...rest } });

const fresh = { usedAttempts: 1, refusals: 0, jitter: 1 };

test('whose fault it is, by what servers and proxies say', () => {
  const cases: readonly (readonly [Fault, ReturnType<typeof classOf>])[] = [
    [http(400, said('context length exceeded')), 'request'],
    [http(413, '<html>413 Request Entity Too Large</html>'), 'request'],
    [http(422, { detail: [{ loc: ['body'], msg: 'extra' }] }), 'request'],
    [http(418), 'request'],
    [http(404, said('No such File object: file-1', { param: null })), 'request'],
    [http(404, said("Previous response with id 'resp_1' not found.", { param: 'previous_response_id' })), 'request'],
    [http(401, said('Incorrect API key provided')), 'operator'],
    [http(402), 'operator'],
    [http(403, said('forbidden')), 'operator'],
    [http(404, said('The model `x` does not exist.', { param: 'model' })), 'operator'],
    [http(404, { object: 'error', message: 'The model `x` does not exist.', code: 404 }), 'operator'],
    [http(404, { error: "model 'x' not found" }), 'operator'],
    [http(404, { detail: 'Not Found' }), 'operator'],
    [http(404, '404 page not found'), 'operator'],
    [http(405), 'operator'],
    [http(308), 'operator'],
    [http(429, said('You exceeded your current quota', { code: 'insufficient_quota' })), 'operator'],
    [http(400, said('Your credit balance is too low to access the API.')), 'operator'],
    [http(400, said('no such model', { code: 'model_not_found' })), 'operator'],
    [http(429, said('Rate limit reached')), 'limited'],
    [http(503), 'unavailable'],
    [http(529), 'unavailable'],
    [{ kind: 'unreachable', message: 'connect ECONNREFUSED' }, 'down'],
    ...[408, 409, 424, 425, 499, 500, 501, 502, 504, 520, 521, 522, 523, 524, 599].map(
      (status) => [http(status), 'ambiguous'] as const,
    ),
    [{ kind: 'reset', message: 'ECONNRESET' }, 'ambiguous'],
    [{ kind: 'timeout', message: 'no answer' }, 'ambiguous'],
    [{ kind: 'garbled', status: 200, message: 'no completion' }, 'ambiguous'],
    [{ kind: 'garbled', status: null, message: 'not HTTP' }, 'ambiguous'],
  ];
  for (const [fault, expected] of cases) assert.equal(classOf(fault), expected, JSON.stringify(fault));
});

test('a fault of the operator says what to look at', () => {
  assert.match(operatorReason(http(401)), /API key \(401\): look at api_key_env/);
  assert.match(operatorReason(http(402)), /used up \(402\)/);
  assert.match(operatorReason(http(429, said('', { code: 'insufficient_quota' }))), /used up \(429\)/);
  assert.match(operatorReason(http(404, said('The model `x` does not exist'))), /does not know the model \(404\)/);
  assert.match(operatorReason(http(404, { detail: 'Not Found' })), /base_url, which mostly ends in \/v1/);
});

test('what is said to wait is heeded, up to an hour', () => {
  for (const status of [429, 503]) {
    const asked = decideFault(http(status, null, 7_000), fresh);
    assert.ok(asked.kind === 'hold' && asked.retryAfterMs === 7_000);
    const unasked = decideFault(http(status), fresh);
    assert.ok(unasked.kind === 'hold' && unasked.retryAfterMs === null);
  }
  const long = decideFault(http(429, null, 1e12), fresh);
  assert.ok(long.kind === 'hold' && long.retryAfterMs === 3_600_000);
  const asked = decideFault(http(500, null, 60_000), fresh);
  assert.ok(asked.kind === 'unproven' && asked.afterMs === 60_000);
});

test('the pause before the next attempt doubles, is bounded, and the jitter takes off up to a half', () => {
  const after = (usedAttempts: number, jitter: number) => {
    const decision = decideFault(http(500), { usedAttempts, refusals: 0, jitter });
    return decision.kind === 'unproven' ? decision.afterMs : null;
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

test('a document that was refused for good has the refusal for its answer; nobody else ends by it', () => {
  for (const status of [429, 503]) {
    assert.equal(decideFault(http(status), { ...fresh, refusals: 19 }).kind, 'hold');
    assert.deepEqual(decideFault(http(status), { ...fresh, refusals: 20 }), { kind: 'final', rejected: false });
  }
  assert.equal(decideFault({ kind: 'unreachable', message: 'down' }, { ...fresh, refusals: 20 }).kind, 'hold');
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

test('every wait is finite and bounded, whatever comes; only what the server calls wrong is final at once', () => {
  fc.assert(
    fc.property(fault, fc.double(), fc.double(), fc.nat(40), (one, usedAttempts, jitter, refusals) => {
      const decision = decideFault(one, { usedAttempts, refusals, jitter });
      if (decision.kind === 'unproven') assert.ok(decision.afterMs >= 250 && decision.afterMs <= 3_600_000);
      if (decision.kind === 'hold' && decision.retryAfterMs !== null)
        assert.ok(decision.retryAfterMs >= 0 && decision.retryAfterMs <= 3_600_000);
      if (decision.kind === 'final' && refusals < 20) assert.ok(isUnderstood(one));
    }),
  );
});

test('what is waited for grows with the failures in a row, up to half a minute', () => {
  fc.assert(
    fc.property(fc.nat({ max: 1000 }), fc.double({ min: 0, max: 1, noNaN: true }), (failures, jitter) => {
      assert.ok(holdBackoffMs(failures + 1, jitter) >= holdBackoffMs(failures, jitter));
      assert.ok(holdBackoffMs(failures, jitter) >= 250 && holdBackoffMs(failures, jitter) <= 30_000);
    }),
  );
});
