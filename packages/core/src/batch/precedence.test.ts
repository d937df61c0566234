import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { precedenceOf, workLeft, type DueBatch } from './precedence.ts';

const RATES = new Map([['d', 10]]);

/** A batch with so many documents left in tier `d`, and so many seconds. */
const due = (id: string, documents: number, seconds: number, tenant = 't'): DueBatch => ({
  id,
  tenant,
  deadlineMs: 1_000 * seconds,
  work: new Map([['d', documents]]),
});

const decided = (...batches: readonly DueBatch[]): object => Object.fromEntries(precedenceOf(batches, RATES, 0));

test('a batch that its fair share keeps has no precedence, however early its deadline', () => {
  assert.deepEqual(decided(due('due', 100, 40), due('large', 10_000, 86_400)), {});
});

test('one that its fair share would miss and the whole one keep goes first; one that nothing keeps does not', () => {
  assert.deepEqual(decided(due('due', 300, 40), due('large', 10_000, 86_400)), { t: ['due'] });
  assert.deepEqual(decided(due('due', 500, 40), due('large', 10_000, 86_400)), {});
});

test('what others of the tenant still have to do counts as far as they have it, not by their number', () => {
  const small = Array.from({ length: 50 }, (_, at) => due(`small${at}`, 1, 86_400));
  assert.deepEqual(decided(due('due', 200, 40), ...small), {});
});

test('among those with precedence the earliest deadline is first, and the largest is given up for the others', () => {
  const large = due('large', 100_000, 864_000);
  assert.deepEqual(decided(due('b', 300, 80), due('a', 300, 40), large), { t: ['a', 'b'] });
  assert.deepEqual(decided(due('a', 390, 40), due('b', 100, 41), due('c', 100, 42), large), { t: ['b', 'c'] });
});

test('what is given up for another is what it would wait for, not what has most to do elsewhere', () => {
  const rates = new Map([
    ['d', 10],
    ['e', 3],
  ]);
  const inBoth = (id: string, tenant: string, d: number, e: number, deadlineMs: number): DueBatch => ({
    id,
    tenant,
    deadlineMs,
    work: new Map([
      ['d', d],
      ['e', e],
    ]),
  });
  const all = [inBoth('late', 'a', 0, 2, 688), inBoth('kept', 'a', 7, 0, 687), inBoth('other', 'b', 0, 1, 0)];
  assert.deepEqual(Object.fromEntries(precedenceOf(all, rates, 0)), { a: ['kept'] });
});

test('what precedence brings in danger has precedence too', () => {
  const batches = [due('a', 500, 60), due('b', 400, 100), due('c', 10_000, 86_400)];
  const [, b, c] = batches;
  assert.ok(b !== undefined && c !== undefined);
  assert.deepEqual(decided(due('x', 200, 500), b), {}, 'b alone with a small one is not in danger');
  assert.deepEqual(decided(...batches), { t: ['a', 'b'] });
});

test('the rate that a tenant is sure of is what the others with work leave', () => {
  const large = due('large', 10_000, 86_400);
  assert.deepEqual(decided(due('due', 300, 40), large, due('other', 10_000, 86_400, 'o')), {}, 'not even all of it');
  assert.deepEqual(decided(due('due', 150, 40), large, due('other', 10_000, 86_400, 'o')), { t: ['due'] });
});

test('a tier whose rate nobody knows says nothing, and without any nothing has precedence', () => {
  const unknown: DueBatch = { ...due('due', 300, 40), work: new Map([['x', 1_000_000]]) };
  assert.deepEqual(decided(unknown, due('large', 10_000, 86_400)), {});
  assert.deepEqual([...precedenceOf([due('due', 300, 1)], new Map(), 0)], []);
});

const batches = fc.array(
  fc.record({
    tenant: fc.constantFrom('a', 'b'),
    d: fc.integer({ min: 0, max: 2_000 }),
    e: fc.integer({ min: 0, max: 500 }),
    deadlineMs: fc.integer({ min: -10_000, max: 500_000 }),
  }),
  { maxLength: 20 },
);

test('those with precedence are in the order of their deadlines and keep them one after another, if tenants share evenly', () => {
  fc.assert(
    fc.property(batches, (drawn) => {
      const rates = new Map([
        ['d', 10],
        ['e', 3],
      ]);
      const all = drawn.map(({ tenant, d, e, deadlineMs }, at): DueBatch => {
        const work = new Map([
          ['d', d],
          ['e', e],
        ]);
        return { id: `b${at}`, tenant, deadlineMs, work };
      });
      for (const [tenant, ids] of precedenceOf(all, rates, 0)) {
        const first = ids.map((id) => all[Number(id.slice(1))]).filter((batch) => batch !== undefined);
        const deadlines = first.map(({ deadlineMs }) => deadlineMs);
        assert.deepEqual(
          deadlines,
          deadlines.toSorted((left, right) => left - right),
        );
        for (const [tier, rate] of rates) {
          const workOf = (of: string): number =>
            all.filter((batch) => batch.tenant === of).reduce((sum, { work }) => sum + (work.get(tier) ?? 0), 0);
          let sum = 0;
          for (const { work, deadlineMs, tenant: own } of first) {
            sum += work.get(tier) ?? 0;
            const others = Math.min(sum, workOf(own === 'a' ? 'b' : 'a'));
            if ((work.get(tier) ?? 0) > 0) assert.ok((1_000 * (sum + others)) / rate <= 1.03 * deadlineMs, tenant);
          }
        }
      }
    }),
  );
});

test('what is left of a batch lies where documents wait, and more of it is to come by the share that escalates', () => {
  const route = { tiers: ['d', 'm', 'e'], firstTiers: ['d'] };
  const batch = { total: 1_000, enqueued: 400, settled: 180, escalated: 94 };
  const queued = new Map([
    ['d', 30],
    ['m', 0],
    ['e', 10],
  ]);
  // Half of them escalate: (94 + 6) / (180 + 20).
  assert.deepEqual(
    [...workLeft(batch, route, queued)],
    [
      ['d', 600 + 165],
      ['m', 382.5],
      ['e', 55 + 191.25],
    ],
  );
  const idle = workLeft({ total: 100, enqueued: 40, settled: 0, escalated: 0 }, route, new Map());
  assert.deepEqual(
    [...idle].map(([, work]) => Math.round(work)),
    [100, 30, 9],
  );
});
