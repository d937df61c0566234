import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readTierName, ROLES, tierLabels, tierName } from './tier.ts';

test('a tier is one model in one role, by name', () => {
  assert.equal(tierName('drafter', 'small'), 'drafter.small');
  assert.equal(tierName('expert', 'large'), 'expert.large');
  assert.deepEqual(readTierName('expert.qwen3.5-397b'), { role: 'expert', model: 'qwen3.5-397b' });
  assert.deepEqual(tierLabels('drafter.expert.large'), { tier: 'drafter.expert.large', role: 'drafter' });
});

test('names are read back as they were made, and no two tiers share one', () => {
  const model = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/);
  const tier = fc.record({ role: fc.constantFrom(...ROLES), model }, { noNullPrototype: true });
  fc.assert(
    fc.property(tier, tier, (one, other) => {
      assert.deepEqual(readTierName(tierName(one.role, one.model)), one);
      const isSame = one.role === other.role && one.model === other.model;
      assert.equal(tierName(one.role, one.model) === tierName(other.role, other.model), isSame);
    }),
  );
});
