import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RedisClock } from '@spillway/redis';
import { jobOf } from '../../../test/support/jobs.ts';
import { afterGivingUp, givenUp } from './unproven.ts';

const take = { number: 5, by: 'pod:7' };
const taken = { ...jobOf(), waitingSinceMs: Date.now() - 60_000, take };
const given = givenUp({ startedAtMs: performance.now() - 1_000 }, new RedisClock());

test('a call that was given up keeps its place and its worker, whatever it was given up for', () => {
  const changed = (reason: 'server_down' | 'call_lost' | 'shutdown', breaks = 0) =>
    afterGivingUp({ ...taken, breaks }, { given, reason, maxAttempts: 4 }) ?? assert.fail();
  const found = [changed('server_down'), changed('server_down', 2), changed('call_lost'), changed('shutdown')];
  for (const { delays = [] } of found) {
    const [delay] = delays;
    assert.deepEqual([delays.length, delay?.call?.take], [1, take]);
    assert.ok(Math.abs((delay?.toMs ?? 0) - (delay?.fromMs ?? 0) - 1_000) < 50);
  }
  // There for the fourth time it is taken to have done it: that was an attempt.
  const charged = changed('server_down', 3);
  assert.deepEqual([charged.delays ?? [], charged.usedAttempts], [[], 1]);
  assert.deepEqual(
    charged.attempts.map((attempt) => attempt.take),
    [take],
  );
  assert.equal(afterGivingUp(taken, { given, reason: 'cancelled', maxAttempts: 4 }), null);
});
