import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ResultLine } from '../document/result-line.ts';
import { isResultField, resultFields } from './fields.ts';
import { SLICE_CHARACTERS } from '../text/slices.ts';
import { holding, holds, OPERATORS, type Condition, type Literal } from './expression.ts';
import { ConditionError, parseWhere } from './parse.ts';

const FIELDS = ['confidence', 'role', 'stage', 'escalated', 'custom_id', 'answer.total'] as const;
const known = (name: string): boolean => (FIELDS as readonly string[]).includes(name);

const result: Readonly<Record<string, unknown>> = {
  confidence: 0.71,
  role: 'expert',
  stage: 2,
  escalated: true,
  custom_id: 'a "quoted" id',
  'answer.total': null,
};
const check = (text: string): boolean => holds(parseWhere(text, known), (name) => result[name]);

test('conditions as people write them', () => {
  const right = [
    'confidence < .8 and role = expert',
    'confidence<.8 AND role=="expert"',
    'not (confidence >= 0.8 or stage = 1)',
    'escalated',
    'escalated = true and stage > 1',
    'role ~ EXP and role !~ draft',
    `custom_id = 'a "quoted" id'`,
    String.raw`custom_id = "a \"quoted\" id"`,
    'answer.total = null',
    'not answer.total',
    'stage = "2"',
    'role != drafter or confidence > 1 and confidence > 2',
  ];
  for (const text of right) assert.equal(check(text), true, text);
  const wrong = [
    'confidence > .8',
    'not escalated',
    'answer.total < 5',
    'answer.total > 5',
    'answer.total ~ 5',
    'role = 5',
  ];
  for (const text of wrong) assert.equal(check(text), false, text);
});

test('what is wrong is said in one line, with its place', () => {
  for (const [text, message] of [
    ['', /its end stands where a field is expected/],
    ['confidence <', /its end stands where a value is expected/],
    ['confidnce < 1', /"confidnce < 1" \(character 1\) is no field of a result/],
    ['(escalated', /its end stands where a "\)" is missing/],
    ['escalated escalated', /"escalated" \(character 11\) stands where "and"/],
    ['role = "open', /""open" \(character 8\) cannot be read/],
    [`${'('.repeat(200)}escalated`, /nested too deep/],
    [`${'not '.repeat(200)}escalated`, /nested too deep/],
    ['role ; drop', /"; drop" \(character 6\) cannot be read/],
  ] as const) {
    assert.throws(
      () => parseWhere(text, known),
      (error: unknown) => {
        assert.ok(error instanceof ConditionError);
        assert.match(error.message, message);
        assert.equal(error.message.split('\n').length, 1);
        return true;
      },
    );
  }
});

const literal: fc.Arbitrary<Literal> = fc.oneof(
  fc.string(),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => (Object.is(value, -0) ? 0 : value)),
  fc.boolean(),
  fc.constant(null),
);
const plain = { noNullPrototype: true } as const;
const field = fc.constantFrom(...FIELDS);

const condition: fc.Arbitrary<Condition> = fc.letrec<{ one: Condition }>((tie) => ({
  one: fc.oneof(
    { maxDepth: 5 },
    fc.record({ kind: fc.constant('field' as const), field }, plain),
    fc.record(
      { kind: fc.constant('compare' as const), field, operator: fc.constantFrom(...OPERATORS), value: literal },
      plain,
    ),
    fc.record({ kind: fc.constantFrom('and' as const, 'or' as const), left: tie('one'), right: tie('one') }, plain),
    fc.record({ kind: fc.constant('not' as const), of: tie('one') }, plain),
  ),
})).one;

const shown = (value: Literal): string =>
  typeof value === 'string' ? `'${value.replaceAll(/[\\']/g, String.raw`\$&`)}'` : String(value);

/** A condition as text, every part in brackets. */
function textOf(one: Condition): string {
  switch (one.kind) {
    case 'field':
      return one.field;
    case 'compare':
      return `${one.field} ${one.operator} ${shown(one.value)}`;
    case 'not':
      return `not (${textOf(one.of)})`;
    case 'and':
    case 'or':
      return `(${textOf(one.left)}) ${one.kind} (${textOf(one.right)})`;
  }
}

test('a condition that is written down is read as it was', () => {
  fc.assert(fc.property(condition, (one) => assert.deepEqual(parseWhere(textOf(one), known), one)));
});

test('every condition has an opposite, and any text is read or refused in one line', () => {
  const value = fc.oneof(literal, fc.constant(undefined), fc.object());
  fc.assert(
    fc.property(condition, fc.dictionary(field, value), (one, values) => {
      const fields = (name: string): unknown => values[name];
      assert.equal(holds({ kind: 'not', of: one }, fields), !holds(one, fields));
    }),
  );
  fc.assert(
    fc.property(
      fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom('(', ')', 'not ', 'role', '=', '"', ' ', '1') })),
      (text) => {
        try {
          parseWhere(text, known);
        } catch (error) {
          assert.ok(error instanceof ConditionError);
        }
      },
    ),
  );
});

/** A line whose answer is this text. */
const lineOf = (content: string): ResultLine => ({
  id: 'batch_req_0',
  custom_id: 'a',
  response: { status_code: 200, request_id: 'r', body: { choices: [{ message: { content } }] } },
  error: null,
});

const fits = (text: string, line: ResultLine): boolean => holds(parseWhere(text, isResultField), resultFields(line));

test('no answer is too deep, too wide or too long to be compared', () => {
  const deep = `{"a":${'['.repeat(20_000)}${']'.repeat(20_000)}}`;
  const wide = `{"a":[${'1,'.repeat(200_000)}1]}`;
  for (const hostile of [deep, wide, `{"a":"${'x'.repeat(2_000_000)}"}`]) {
    // Its values are not looked at, its text is.
    for (const asked of ['answer.a ~ x', 'answer.a = 1', 'answer.a != null', 'answer.a'])
      assert.equal(fits(asked, lineOf(hostile)), false, asked);
    assert.equal(fits('answer ~ "a"', lineOf(hostile)), true);
  }
  const answer = lineOf('{"a": {"b": [1, "x"]}, "n": 0.5}');
  for (const right of ['answer.a ~ "x"', 'answer.a = \'{"b":[1,"x"]}\'', 'answer.n < .6', 'answer.a', 'not answer.c'])
    assert.equal(fits(right, answer), true, right);
});

test('an answer is read once, however many terms ask for it', () => {
  let reads = 0;
  const line = lineOf('{"a": 1}');
  const body = line.response?.body;
  const response = {
    status_code: 200,
    request_id: 'r',
    get body() {
      reads += 1;
      return body;
    },
  };
  const terms = Array.from({ length: 50 }, (_, at) => (at % 2 === 0 ? `answer.a = ${at + 2}` : 'answer ~ zz'));
  assert.equal(fits(terms.join(' or '), { ...line, response }), false);
  assert.ok(reads <= 2, `${reads}`);
  assert.throws(() => parseWhere([...terms, 'stage'].join(' or '), isResultField), /is term 51, one too many/);
});

test('a long text is looked through a slice after the other, and what lies across two of them is found', () => {
  const words = fc.array(fc.constantFrom('a', 'b', 'ab', 'aab'), { minLength: 1, maxLength: 12 });
  const property = fc.property(words, fc.nat({ max: 3 * SLICE_CHARACTERS }), (parts, at) => {
    const word = parts.join('');
    const text = `${'c'.repeat(at)}${word}${'c'.repeat(3 * SLICE_CHARACTERS - at)}`;
    const says = (value: string) => holds({ kind: 'compare', field: 'x', operator: '~', value }, () => text);
    assert.equal(says(word), true);
    assert.equal(says(`${word}d`), false);
    assert.equal(says(''), true);
  });
  fc.assert(property, { numRuns: 100 });
});

test('whatever a condition looks for in a long answer, it stops again and again', () => {
  // To find this word in this text takes the product of their lengths.
  const text = 'a'.repeat(1024 * 1024);
  const value = `${'a'.repeat(900)}b${'a'.repeat(900)}`;
  const looked: Condition = { kind: 'compare', field: 'answer', operator: '~', value };
  const work = holding({ kind: 'or', left: looked, right: { kind: 'not', of: looked } }, () => text);
  let steps = 0;
  for (let step = work.next(); step.done !== true; step = work.next()) steps += 1;
  assert.ok(steps >= 2 * (text.length / SLICE_CHARACTERS), String(steps));
});
