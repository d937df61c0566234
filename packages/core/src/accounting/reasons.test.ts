import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LIMITS } from '../limits.ts';
import { NO_COUNTS, type Counts } from './counts.ts';
import { addSaid, failuresOf, reasonsOf } from './reasons.ts';

const counts: Counts = {
  ...NO_COUNTS,
  'a/1/reason:no_label': 2,
  'a/1/reason:truncated': 5,
  'a/1/reason:refused': 2,
  'a/11/reason:refused': 9,
  'b/1/reason:refused': 8,
  'a/1/escalated': 9,
  'error/400': 1,
  'error/503': 7,
  'error/server_error': 7,
};

test('the reasons of a stage are its own, the most frequent first', () => {
  assert.deepEqual(reasonsOf(counts, { 'a/1/reason:refused': 'No.' }, 'a', 0), [
    { reason: 'truncated', count: 5, said: null },
    { reason: 'no_label', count: 2, said: null },
    { reason: 'refused', count: 2, said: 'No.' },
  ]);
  assert.deepEqual(reasonsOf(counts, {}, 'a', 1), []);
});

test('failures go by status or code, whatever a cascade is named', () => {
  const named: Counts = { ...counts, 'error/1/accepted': 3, 'error/1/reason:refused': 2 };
  assert.deepEqual(failuresOf(named, { 'error/503': 'busy' }), [
    { status: 503, code: null, count: 7, said: 'busy' },
    { status: null, code: 'server_error', count: 7, said: null },
    { status: 400, code: null, count: 1, said: null },
  ]);
});

test('of texts the first is kept, in whichever order parts are put together, and a batch has so many', () => {
  const said = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), fc.string());
  fc.assert(
    fc.property(said, said, said, (one, two, three) => {
      const all = addSaid(addSaid(one, two), three);
      assert.deepEqual(addSaid(one, addSaid(two, three)), all);
      for (const [name, text] of Object.entries(all)) {
        assert.equal(text, [one, two, three].find((part) => Object.hasOwn(part, name))?.[name]);
      }
    }),
  );
  const many = Object.fromEntries(Array.from({ length: 99 }, (_, at) => [`error/${at + 400}`, 'x']));
  assert.equal(Object.keys(addSaid({ first: 'y' }, many)).length, LIMITS.saidTexts);
  assert.equal(addSaid({ first: 'y' }, many)['first'], 'y');
});
