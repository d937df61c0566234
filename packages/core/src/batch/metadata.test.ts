import assert from 'node:assert/strict';
import { test } from 'node:test';
import { THRESHOLD_KEYS } from './threshold-setting.ts';
import {
  clientLabels,
  DEDUPLICATE_KEY,
  ON_BAD_LINES_KEY,
  onBadLines,
  runsShadow,
  SHADOW_KEY,
  unknownSetting,
  wantsDeduplicated,
} from './metadata.ts';

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

test('a key under the prefix is a setting that somebody reads, a label of the service, or unknown', () => {
  const unknown = (key: string) => unknownSetting({ own: 'x', [key]: '1' });
  for (const key of ['spillway', 'spillways.x', 'my.spillway.max_usd', 'team', ''])
    assert.equal(unknown(key), null, key);
  const known = [
    'spillway.max_usd',
    'spillway.shadow',
    'spillway.on_bad_lines',
    'spillway.deduplicate',
    ...THRESHOLD_KEYS,
  ];
  for (const key of [...known, 'spillway.retry_of', 'spillway.sample_of', 'spillway.redecided_from'])
    assert.equal(unknown(key), null, key);
  assert.deepEqual(unknown('spillway.maxusd'), { key: 'spillway.maxusd', meant: 'spillway.max_usd', known });
  // What the design knows and this version does not do must not be ignored in silence.
  const later = ['acceptat', 'budgets', 'both'].map((name) => `spillway.${name}`);
  for (const key of [...later, 'SPILLWAY.max_usd', ' spillway.max_usd', 'spillway.', 'spillway.max_usd '])
    assert.equal(unknown(key)?.key, key);
  assert.equal(unknownSetting(null), null);
});

test("the service's labels do not count as the client's", () => {
  assert.equal(clientLabels({ a: '1', [SHADOW_KEY]: 'true', 'spillway.retry_of': 'batch_1' }), 2);
});

test('equal documents are asked about once unless that is not wanted, or each is to be judged', () => {
  assert.equal(DEDUPLICATE_KEY, 'spillway.deduplicate');
  for (const labels of [null, {}, { [DEDUPLICATE_KEY]: 'true' }]) assert.equal(wantsDeduplicated(labels), true);
  assert.equal(wantsDeduplicated({ [DEDUPLICATE_KEY]: 'false' }), false);
  for (const wish of [{}, { [DEDUPLICATE_KEY]: 'true' }]) {
    assert.equal(wantsDeduplicated({ [SHADOW_KEY]: 'true', ...wish }), false);
  }
  for (const text of ['', 'no', 'False', ' false']) {
    assert.equal(wantsDeduplicated({ [DEDUPLICATE_KEY]: text }), 'invalid');
  }
});

test('bad lines go to the error file only where that is asked for', () => {
  assert.equal(ON_BAD_LINES_KEY, 'spillway.on_bad_lines');
  assert.equal(onBadLines(null), 'fail');
  assert.equal(onBadLines({ a: 'b' }), 'fail');
  for (const one of ['fail', 'error_file']) assert.equal(onBadLines({ [ON_BAD_LINES_KEY]: one }), one);
  for (const text of ['', 'Fail', 'skip', ' error_file'])
    assert.equal(onBadLines({ [ON_BAD_LINES_KEY]: text }), 'invalid');
});
