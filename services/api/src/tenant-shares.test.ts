import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TenantShares } from './tenant-shares.ts';

const takeAll = (shares: TenantShares, tenant: string): number => {
  let taken = 0;
  while (shares.take(tenant, 1) === null) taken += 1;
  return taken;
};

test('one tenant alone has half, and the next ones half of what is left, down to the last', () => {
  const shares = new TenantShares(64, { isShared: true });
  assert.deepEqual(
    ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map((tenant) => takeAll(shares, tenant)),
    [32, 16, 8, 4, 2, 1, 1, 0],
  );
  assert.deepEqual([shares.take('a', 1), shares.take('i', 1)], ['own', 'all']);
  shares.giveBack('a', 1);
  assert.equal(shares.take('a', 1), 'own', 'what is free is for the others first');
  assert.equal(shares.take('i', 1), null);
});

test('where there is one tenant only it has everything', () => {
  const shares = new TenantShares(64, { isShared: false });
  assert.equal(takeAll(shares, 'default'), 64);
  assert.equal(shares.take('default', 1), 'own');
});

test('never more than there is, and nothing is lost, in whatever order it is taken and given back', () => {
  const step = fc.record({
    tenant: fc.constantFrom('a', 'b', 'c'),
    amount: fc.integer({ min: 1, max: 9 }),
    gives: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const shares = new TenantShares(20, { isShared: true });
      const held: { tenant: string; amount: number }[] = [];
      const sum = (): number => held.reduce((all, { amount }) => all + amount, 0);
      for (const { tenant, amount, gives } of steps) {
        const given = gives ? held.pop() : undefined;
        if (given !== undefined) shares.giveBack(given.tenant, given.amount);
        else if (shares.take(tenant, amount) === null) held.push({ tenant, amount });
        assert.ok(sum() <= 20);
      }
      for (const { tenant, amount } of held) shares.giveBack(tenant, amount);
      assert.equal(takeAll(shares, 'a'), 10);
    }),
  );
});
