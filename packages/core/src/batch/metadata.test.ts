import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runsShadow, SHADOW_KEY } from './metadata.ts';

test('a shadow run is asked for in so many words', () => {
  assert.equal(SHADOW_KEY, 'spillway.shadow');
  assert.equal(runsShadow(null), false);
  assert.equal(runsShadow({}), false);
  assert.equal(runsShadow({ [SHADOW_KEY]: 'true' }), true);
  assert.equal(runsShadow({ [SHADOW_KEY]: 'false' }), false);
  assert.equal(runsShadow({ 'spillway.both': 'true' }), false, 'the former key says nothing');
  for (const text of ['', 'TRUE', '1', 'yes', ' true'])
    assert.equal(runsShadow({ [SHADOW_KEY]: text }), 'invalid', text);
});
