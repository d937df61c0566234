import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { jsonCharacters } from './json-characters.ts';
import type { Json } from './json.ts';

test('a value without escapes has as many characters as its JSON', () => {
  const values = fc.jsonValue({ stringUnit: fc.constantFrom('a', ' ', 'é', '😀', '{', ',') });
  fc.assert(
    fc.property(values, (given) => {
      // As it is read from a text, where -0 is 0.
      const value = JSON.parse(JSON.stringify(given)) as Json;
      assert.equal(jsonCharacters(value), JSON.stringify(value).length);
    }),
  );
  assert.equal(jsonCharacters('\n"'), 4, 'escapes are not looked for');
});

test('a long string takes no longer than a short one', () => {
  const request = { image: `${'x'.repeat(16 * 1024 * 1024)}"` };
  const began = process.cpuUsage();
  for (let run = 0; run < 100; run += 1) jsonCharacters(request);
  const { user, system } = process.cpuUsage(began);
  // A hundred times written it would be seconds.
  assert.ok(user + system < 500_000, `${(user + system) / 1000} ms`);
});
