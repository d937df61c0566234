import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FairShare, TenantShares } from './fair-share.ts';

test('flows that are always ready differ by at most one piece of the largest cost', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 2, maxLength: 6 }), (costs) => {
      const share = new FairShare();
      const names = costs.map((_, index) => `flow${index}`);
      const served = new Map(names.map((name) => [name, 0]));
      for (let turn = 0; turn < 500; turn += 1) {
        const flow = share.next(names) ?? '';
        const cost = costs[names.indexOf(flow)] ?? 0;
        share.spend(flow, cost);
        served.set(flow, (served.get(flow) ?? 0) + cost);
      }
      const sums = [...served.values()];
      assert.ok(Math.max(...sums) - Math.min(...sums) <= 2 * Math.max(...costs));
    }),
  );
});

test('a flow that was idle or held back starts at the present: neither burst nor penalty', () => {
  const share = new FairShare();
  for (let turn = 0; turn < 100; turn += 1) share.spend(share.next(['old']) ?? '', 10);
  const order: (string | null)[] = [];
  for (let turn = 0; turn < 6; turn += 1) {
    const flow = share.next(['old', 'new']);
    order.push(flow);
    share.spend(flow ?? '', 10);
  }
  assert.equal(order.filter((flow) => flow === 'new').length, 3);
  assert.equal(order.slice(0, 2).includes('new'), true);
});

test('what is served before its turn is paid for, and takes nobody else’s turn', () => {
  const share = new FairShare();
  const served = { small: 0, first: 0, second: 0 };
  for (let turn = 0; turn < 300; turn += 1) {
    // One comes before its turn now and then; of the others the first one would be next each time if all began anew.
    if (turn % 2 === 0 && share.startOf('small') <= share.startOf('first') + 100) {
      share.spendEarly('small', 10);
      served.small += 10;
    }
    const flow = share.next(['first', 'second']) as 'first' | 'second';
    share.spend(flow, 10);
    served[flow] += 10;
  }
  assert.equal(served.first, served.second);
  assert.ok(served.small >= 1_000 && share.startOf('small') >= served.small);
});

test('nothing ready, nothing next; forgotten flows start anew', () => {
  const share = new FairShare();
  assert.equal(share.next([]), null);
  share.spend('a', 5);
  share.forget('a');
  assert.equal(share.next(['a']), 'a');
});

test('of two flows of a tenant each is served, also while another tenant has one of its own', () => {
  const tenants = new FairShare();
  const flows = new TenantShares();
  const own: Readonly<Record<string, readonly string[]>> = { a: ['only'], b: ['old', 'new'] };
  const served: Record<string, number> = {};
  for (let turn = 0; turn < 400; turn += 1) {
    const tenant = tenants.next(['a', 'b']) ?? '';
    const flow = flows.of(tenant).next(own[tenant] ?? []) ?? '';
    tenants.spend(tenant, 10);
    flows.spend(tenant, flow, 10);
    served[flow] = (served[flow] ?? 0) + 1;
  }
  assert.deepEqual(served, { only: 200, old: 100, new: 100 });
  const share = flows.of('b');
  assert.ok(share.startOf('old') > share.now);
  flows.forget('old');
  assert.equal(share.startOf('old'), share.now);
});
