import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { RedisClock } from './clock.ts';

test('however late readings come, a moment lies between its earliest and its latest time', () => {
  const reading = fc.record({ waitMs: fc.nat(2_000), sendMs: fc.nat(500), backMs: fc.nat(500) });
  fc.assert(
    fc.property(
      fc.array(reading, { minLength: 1, maxLength: 30 }),
      fc.integer({ min: 1, max: 1e12 }),
      (readings, aheadMs) => {
        const clock = new RedisClock();
        let now = 0;
        for (const { waitMs, sendMs, backMs } of readings) {
          const askedAtMs = now + waitMs;
          const redisMs = Math.floor(askedAtMs + sendMs + aheadMs);
          now = askedAtMs + sendMs + backMs;
          clock.observe({ askedAtMs, answeredAtMs: now, redisMs });
          assert.ok(clock.earliest(now) <= now + aheadMs && clock.latest(now) >= now + aheadMs);
        }
      },
    ),
  );
});

test('a clock that jumped, as after a failover, is believed at once', () => {
  const clock = new RedisClock();
  clock.observe({ askedAtMs: 0, answeredAtMs: 1, redisMs: 50_000 });
  clock.observe({ askedAtMs: 1_000, answeredAtMs: 1_030, redisMs: 20_000 });
  assert.ok(clock.latest(1_030) <= 20_030);
});
