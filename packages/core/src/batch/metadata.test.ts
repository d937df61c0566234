import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ON_BAD_LINES_KEY, onBadLines, runsShadow, SHADOW_KEY } from './metadata.ts';

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

test('bad lines go to the error file only where that is asked for', () => {
  assert.equal(ON_BAD_LINES_KEY, 'spillway.on_bad_lines');
  assert.equal(onBadLines(null), 'fail');
  assert.equal(onBadLines({ a: 'b' }), 'fail');
  for (const one of ['fail', 'error_file']) assert.equal(onBadLines({ [ON_BAD_LINES_KEY]: one }), one);
  for (const text of ['', 'Fail', 'skip', ' error_file'])
    assert.equal(onBadLines({ [ON_BAD_LINES_KEY]: text }), 'invalid');
});
