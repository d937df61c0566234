import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LIMITS } from '../../limits.ts';
import { runAtOnce } from '../../text/slices.ts';
import { continuedText, readContinuedValue, type ContinuedValue } from './continue.ts';

const DRAFT = ' {"type":"payslip", "note" : null,\n"total": "10.15", "tags": ["a"]}';

const textUpTo = (path: string, answers: readonly (readonly [string, string])[] = []): string =>
  runAtOnce(continuedText(DRAFT, path, new Map(answers)));
const read = (continuation: string, before = '{"a'): ContinuedValue =>
  runAtOnce(readContinuedValue(before, continuation));

test('a value is gone on with from its name, with the values before it as they were answered', () => {
  assert.equal(textUpTo('/type'), '{"type');
  assert.equal(textUpTo('/total'), '{"type":"payslip", "note" : null,\n"total');
  assert.equal(
    textUpTo('/total', [
      ['/note', '1e400'],
      ['/type', '"quote"'],
      ['/tags', '[]'],
    ]),
    '{"type":"quote", "note" : 1e400,\n"total',
  );
  assert.equal(textUpTo('/tags'), '{"type":"payslip", "note" : null,\n"total": "10.15", "tags');
  assert.throws(() => textUpTo('/none'), RangeError);
  assert.throws(() => textUpTo(''), RangeError);
});

test('a value is cut where it ends, whatever comes behind it', () => {
  for (const [continuation, json] of [
    ['":"b"', '"b"'],
    ['":"b","c":1}', '"b"'],
    ['" : "b"}', '"b"'],
    [String.raw`":"b\",}\\","c":1}`, String.raw`"b\",}\\"`],
    ['":12}', '12'],
    ['": 12345678901234567890 ,"c":"', '12345678901234567890'],
    ['":1e400}', '1e400'],
    ['":null,', 'null'],
    ['":[1,{"b":"]"}],"c":', '[1,{"b":"]"}]'],
    ['":{}', '{}'],
    ['":"\u2028é😀"}', '"\u2028é😀"'],
  ] as const) {
    assert.deepEqual(read(continuation), { kind: 'value', json }, continuation);
    assert.deepEqual(read(`{"a${continuation}`), { kind: 'value', json }, `all of it again: ${continuation}`);
  }
});

test('a value whose end is not there is unfinished', () => {
  for (const continuation of [
    '',
    '"',
    '":',
    '": ',
    '":"b',
    String.raw`":"b\"`,
    '":1',
    '":1 ',
    '":null',
    '":[1',
    '{"a',
  ]) {
    assert.deepEqual(read(continuation), { kind: 'unfinished' }, continuation);
  }
});

test('what is no value of this name is nonsense', () => {
  for (const [continuation, why] of [
    ['{"b":1}', 'begins_anew'],
    ['\n{"b":1}', 'begins_anew'],
    ['```json', 'begins_anew'],
    ['mount":1}', 'another_name'],
    ['1', 'another_name'],
    ['","b":1}', 'no_json'],
    ['":1 000}', 'no_json'],
    ['":1]', 'no_json'],
    ['":}', 'no_json'],
    ['":,', 'no_json'],
    ['":01}', 'no_json'],
    ['":nil}', 'no_json'],
    ['":"b" c}', 'no_json'],
    ['":"b\n"}', 'no_json'],
    [String.raw`":"\x"}`, 'no_json'],
    ['":[1}}', 'no_json'],
    [`":${'['.repeat(LIMITS.jsonDepth + 1)}`, 'too_large'],
    [`":"${'b'.repeat(LIMITS.judgedCharacters)}"`, 'too_large'],
  ] as const) {
    assert.deepEqual(read(continuation), { kind: 'nonsense', why }, continuation.slice(0, 40));
  }
});

test('any value is found again in front of anything that may follow', () => {
  const blank = fc.constantFrom('', ' ', '\n\t');
  fc.assert(
    fc.property(fc.json(), blank, blank, fc.constantFrom('', ',"c":1}', '}', ', '), (json, one, two, behind) => {
      const next = read(`"${one}:${two}${json}${behind}`);
      const hasOwnEnd = /^["[{]/.test(json);
      if (behind === '' && !hasOwnEnd) assert.deepEqual(next, { kind: 'unfinished' });
      else assert.deepEqual(next, { kind: 'value', json });
    }),
  );
});

test('and of any text at all only JSON is taken', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('"', ':', '{', '}', '[', ']', ',', '1', '\\', ' ', 'a') }),
      (text) => {
        const next = read(`":${text}`);
        if (next.kind === 'value') JSON.parse(next.json);
      },
    ),
    { numRuns: 2_000 },
  );
});
