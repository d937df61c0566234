import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { FieldScore } from '../../confidence/index.ts';
import { route } from '../route.ts';
import type { FieldRules, JudgeRule } from '../rules.ts';
import { escapeToken, MAX_PATH_CHARACTERS, pointerTokens } from './pointer.ts';
import { byDoubt, judgeFields, shownConfidences } from './unsure.ts';

const rule = (acceptAt: number, fields: FieldRules = {}): JudgeRule => ({
  confidence: { signal: { name: 'sum_logprob' }, calibration: null },
  acceptAt,
  fields,
});

/** Values that are half sure each: which of them are sure shows which rule counted. */
const half = (...paths: readonly string[]): FieldScore[] => paths.map((path) => ({ path, score: Math.log(0.5) }));
const accepting = { acceptAt: 0.4 };
const refusing = { acceptAt: 0.6 };

const sureOf = (paths: readonly string[], rules: FieldRules, acceptAt = 0.6): readonly string[] =>
  judgeFields(half(...paths), rule(acceptAt, rules))
    .fields.filter(({ isSure }) => isSure)
    .map(({ path }) => path);

test('a rule counts for its value and all beneath it, and the longest that matches counts', () => {
  const paths = ['/a', '/ab', '/a/b', '/a/b/c', '/a/d', ''];
  assert.deepEqual(sureOf(paths, { '/a': accepting }), ['/a', '/a/b', '/a/b/c', '/a/d']);
  assert.deepEqual(sureOf(paths, { '/a': accepting, '/a/b': refusing }), ['/a', '/a/d']);
  assert.deepEqual(sureOf(paths, { '': accepting, '/a/b/c': refusing }), ['/a', '/ab', '/a/b', '/a/d', '']);
  assert.deepEqual(sureOf(paths, {}, 0.4), paths);
});

test('a star stands for every index, and what is written out counts more', () => {
  const paths = ['/items/0/sum', '/items/12/sum', '/items/x/sum', '/items/01/sum', '/items/*/sum'];
  assert.deepEqual(sureOf(paths, { '/items/*/sum': accepting }), ['/items/0/sum', '/items/12/sum', '/items/*/sum']);
  assert.deepEqual(sureOf(paths, { '/items/*/sum': accepting, '/items/0/sum': refusing }), [
    '/items/12/sum',
    '/items/*/sum',
  ]);
  assert.deepEqual(sureOf(['/a/0/b'], { '/a/*/b': accepting, '/a/0': refusing }), ['/a/0/b'], 'the longer one counts');
  assert.deepEqual(sureOf(['/a/0/b'], { '/a/*': accepting, '/a/0': refusing }), [], 'of two as long the exact one');
});

test('names with ~ and / and empty names are found by their pointers', () => {
  for (const name of ['', '~', '/', '~1', 'a/b', '__proto__', 'constructor', 'é😀']) {
    const path = `/${escapeToken(name)}`;
    assert.deepEqual(pointerTokens(path), [name]);
    assert.deepEqual(sureOf([path, '/other'], { [path]: accepting }), [path]);
  }
  assert.equal(pointerTokens('a'), null);
  assert.equal(pointerTokens('/~2'), null);
  assert.deepEqual(pointerTokens(''), []);
  assert.throws(() => sureOf(['/a'], { a: accepting }), RangeError);
  fc.assert(
    fc.property(fc.array(fc.string({ unit: fc.constantFrom('~', '/', '0', '1', 'é', '😀') })), (tokens) => {
      assert.deepEqual(pointerTokens(tokens.map((token) => `/${escapeToken(token)}`).join('')), tokens);
    }),
  );
});

test("a rule's calibration counts for its values, and the stage's for the others", () => {
  const curve = { scores: [-1], values: [0.9] };
  const { fields, isFinal } = judgeFields(
    half('/a', '/b'),
    rule(0.45, { '/a': { acceptAt: 0.8, calibration: { method: 'isotonic', curve } } }),
  );
  assert.deepEqual(
    fields.map(({ confidence }) => confidence),
    [0.9, 0.5],
  );
  assert.ok(isFinal);
});

test('without rules of fields all are sure where the whole would be accepted', () => {
  const scores = fc.array(fc.tuple(fc.string(), fc.double({ max: 0, noNaN: true, min: -5 })), { minLength: 1 });
  fc.assert(
    fc.property(scores, fc.oneof(fc.double(), fc.constantFrom(0, 0.5, 0.9, 1)), (given, acceptAt) => {
      const fields = given.map(([path, score]) => ({ path, score }));
      const score = Math.min(...fields.map((one) => one.score));
      const decided = route({ kind: 'scored', score, confidence: Math.exp(score), fields }, { acceptAt });
      assert.equal(judgeFields(fields, rule(acceptAt)).isFinal, decided.kind === 'accept');
    }),
  );
  assert.equal(judgeFields([], rule(0)).isFinal, false, 'nothing was judged');
  assert.equal(judgeFields(half('/a'), { ...rule(0), acceptAt: Number.NaN }).isFinal, false);
});

test('a path that is too long to be looked at is not sure where rules are by path', () => {
  const path = `/${'x'.repeat(MAX_PATH_CHARACTERS)}`;
  assert.deepEqual(sureOf([path], { '': accepting }), [path]);
  assert.deepEqual(sureOf([path], { '': accepting, '/a': accepting }), []);
});

test('a result line shows the confidence by the rule of each value, and the doubtful ones first', () => {
  const curve = { scores: [-1], values: [0.2] };
  const own = rule(0.45, { '/b': { acceptAt: 0.3, calibration: { method: 'isotonic', curve } } });
  assert.deepEqual(shownConfidences(half('/a', '/b', '/~', 'cut…'), own), {
    '/a': 0.5,
    '/b': 0.2,
    '/~': 0.5,
    'cut…': 0.5,
  });
  const { fields } = judgeFields([...half('/a'), { path: '/b', score: -0.1 }, { path: '/c', score: -0.2 }], own);
  assert.deepEqual(
    byDoubt(fields).map(({ path }) => path),
    ['/b', '/a', '/c'],
  );
});
