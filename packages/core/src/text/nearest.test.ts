import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nearestName } from './nearest.ts';

test('a misspelled name is recognised, and what is none of them is not', () => {
  const known = ['spillway.max_usd', 'spillway.shadow', 'spillway.on_bad_lines'];
  const cases: Readonly<Record<string, string | null>> = {
    'spillway.maxusd': 'spillway.max_usd',
    'Spillway.MAX-USD': 'spillway.max_usd',
    'spillway.max_used': 'spillway.max_usd',
    'spillway.mx_usd': 'spillway.max_usd',
    'spillway.shadwo': 'spillway.shadow',
    'spillway.on_bad_line': 'spillway.on_bad_lines',
    'spillway.promise': null,
    'spillway.deduplicate': null,
    [`spillway.${'x'.repeat(10_000)}`]: null,
  };
  for (const [name, meant] of Object.entries(cases)) assert.equal(nearestName(name, known), meant, name);
  assert.equal(nearestName('a', []), null);
});
