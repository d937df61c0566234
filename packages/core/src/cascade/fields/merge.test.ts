import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '../../limits.ts';
import { parseJson, type Json } from '../../text/json.ts';
import { runAtOnce } from '../../text/slices.ts';
import { readFieldAnswer } from './answer.ts';
import { mergeFields, type FieldSource, type Merged } from './merge.ts';
import type { FieldsPlan } from './plan.ts';
import { readObject } from './places.ts';

const plan = (paths: readonly string[], absent: readonly string[] = []): FieldsPlan => ({
  kind: 'fields',
  paths,
  absent,
});

function sourcesOf(text: string): FieldSource[] {
  const read = runAtOnce(readObject(text));
  if (read.kind === 'whole') return [];
  return read.scalars.map(({ path }) => ({ path, stage: 0, confidence: 0.9, isSure: true }));
}

function merge(draft: string, own: FieldsPlan, answers: Readonly<Record<string, string>>, schema?: Json): Merged {
  return runAtOnce(
    mergeFields({
      draft: { text: draft, fields: sourcesOf(draft) },
      plan: own,
      answers: new Map(Object.entries(answers).map(([path, json]) => [path, { json, fields: null }])),
      stage: 1,
      format: schema === undefined ? null : { type: 'json_schema', schema },
    }),
  );
}

const textOf = (merged: Merged): string => (merged.kind === 'merged' ? merged.text : merged.reason);

test('values are put where the draft has its own, as they were written', () => {
  const draft = '{ "a" :1,\n "b": {"c":"x", "~/": [1, 2] } }\n';
  assert.equal(
    textOf(merge(draft, plan(['/a', '/b/~0~1']), { '/a': '12345678901234567890', '/b/~0~1': '[ 1e400 ]' })),
    '{ "a" :12345678901234567890,\n "b": {"c":"x", "~/": [ 1e400 ] } }\n',
  );
  assert.equal(
    textOf(merge('{"":1,"__proto__":2}', plan(['/', '/__proto__']), { '/': '3', '/__proto__': '-0' })),
    '{"":3,"__proto__":-0}',
  );
});

test('what the draft left out goes to the end of its object, written as the draft writes', () => {
  const schema = {
    type: 'object',
    properties: { a: { type: 'number' }, b: { type: 'object', properties: { c: {}, d: {} } }, e: {}, f: {} },
  };
  const own = plan(['/a'], ['/e', '/f', '/b/d']);
  const answers = { '/a': '2', '/b/d': '"x"', '/e': '[]', '/f': '4' };
  assert.equal(textOf(merge('{"a":1,"b":{"c":1}}', own, answers, schema)), '{"a":2,"b":{"c":1,"d":"x"},"e":[],"f":4}');
  assert.equal(
    textOf(merge('{\n  "a": 1,\n  "b": {"c": 1}\n}', own, answers, schema)),
    '{\n  "a": 2,\n  "b": {"c": 1,"d": "x"},\n  "e": [],\n  "f": 4\n}',
  );
  assert.equal(textOf(merge('{"a":1,"b":{"c":1}}', own, { '/a': '2' }, schema)), '{"a":2,"b":{"c":1}}');
});

test('each scalar says whom it came from', () => {
  const merged = runAtOnce(
    mergeFields({
      draft: {
        text: '{"a":1,"b":[2,3],"c":4}',
        fields: [
          { stage: 0, confidence: 0.9, isSure: true },
          { stage: 1, confidence: 0.3, isSure: false },
          { stage: 1, confidence: 0.4, isSure: false },
          { stage: 0, confidence: 0.8, isSure: true },
        ],
      },
      plan: plan(['/b'], ['/d']),
      answers: new Map([
        [
          '/b',
          { json: '[5,[],{"x":6},7]', fields: [5, 6, 7].map((one) => ({ confidence: one / 10, isSure: one > 5 })) },
        ],
        ['/d', { json: '8', fields: null }],
      ]),
      stage: 2,
      format: null,
    }),
  );
  assert.deepEqual(merged, {
    kind: 'merged',
    text: '{"a":1,"b":[5,[],{"x":6},7],"c":4,"d":8}',
    fields: [
      { path: '/a', stage: 0, confidence: 0.9, isSure: true },
      { path: '/b/0', stage: 2, confidence: 0.5, isSure: false },
      { path: '/b/2/x', stage: 2, confidence: 0.6, isSure: true },
      { path: '/b/3', stage: 2, confidence: 0.7, isSure: true },
      { path: '/c', stage: 0, confidence: 0.8, isSure: true },
      { path: '/d', stage: 2, confidence: null, isSure: true },
    ],
  });
});

test('what does not fit is not merged', () => {
  const draft = '{"a":"x","b":2,"c":[1],"d":null,"e":{"f":1}}';
  const with1 = (path: string, json: string, schema?: Json): string =>
    textOf(merge(draft, plan([path]), { [path]: json }, schema));
  for (const json of ['', '1,"x":2', '"x","a":"y"', '"x"}', '{"x":1', 'nil', '01', '"\n"']) {
    assert.equal(with1('/a', json), 'no_json', json);
  }
  for (const [path, json] of [
    ['/a', '1'],
    ['/a', '{}'],
    ['/a', '["x"]'],
    ['/b', '"2"'],
    ['/b', 'true'],
    ['/c', '{}'],
    ['/c', '1'],
    ['/d', '[]'],
    ['/e', '[]'],
  ] as const) {
    assert.equal(with1(path, json), 'wrong_kind', `${path} ${json}`);
  }
  assert.equal(with1('/d', '"y"'), '{"a":"x","b":2,"c":[1],"d":"y","e":{"f":1}}');
  assert.equal(with1('/a', 'null'), '{"a":null,"b":2,"c":[1],"d":null,"e":{"f":1}}');
  assert.equal(with1('/c', '[{"x":1,"x":2}]'), 'repeated_names');
  assert.equal(with1('/c', `${'['.repeat(LIMITS.jsonDepth)}${']'.repeat(LIMITS.jsonDepth)}`), 'too_large');
  assert.equal(with1('/c', `${'['.repeat(LIMITS.jsonDepth + 1)}${']'.repeat(LIMITS.jsonDepth + 1)}`), 'too_large');
  assert.equal(with1('/a', `"${'x'.repeat(LIMITS.judgedCharacters - 2)}"`), 'too_large');
  assert.equal(textOf(merge(draft, plan(['/a', '/b']), { '/a': '"y"' })), 'left_out');
  assert.equal(textOf(merge(draft, plan(['/a']), { '/a': '"y"', '/b': '3' })), 'not_asked');
  assert.throws(() => merge(draft, plan(['/x']), { '/x': '1' }), RangeError);
});

test('and so is what the schema forbids, also through references and choices', () => {
  const schema = (own: Json): Json => ({ type: 'object', properties: { a: own }, $defs: { A: { enum: ['x', 'y'] } } });
  const merged = (own: Json, json: string): string =>
    textOf(merge('{"a":"x","b":1}', plan(['/a']), { '/a': json }, schema(own)));
  for (const own of [
    { type: 'string', enum: ['x', 'y'] },
    { $ref: '#/$defs/A' },
    { anyOf: [{ $ref: '#/$defs/A' }, { type: 'null' }] },
    { oneOf: [{ const: 'y' }, { type: 'null' }] },
    { allOf: [{ $ref: '#/$defs/A' }] },
  ]) {
    assert.equal(merged(own, '"y"'), '{"a":"y","b":1}', JSON.stringify(own));
    assert.equal(merged(own, '"z"'), 'misses_schema', JSON.stringify(own));
    assert.equal(merged(own, '1'), 'misses_schema', JSON.stringify(own));
  }
  assert.equal(merged({ type: ['string', 'number'] }, '1'), '{"a":1,"b":1}', 'a schema says more than the draft');
  assert.equal(merged({ description: 'anything' }, '1'), 'wrong_kind');
});

test('an answer has what was asked for, and nothing else', () => {
  const own = plan(['/a', '/b/c'], ['/b/d', '/e', '/f/g']);
  const read = (text: string): unknown => {
    const answer = runAtOnce(readFieldAnswer(text, own, null));
    return answer.kind === 'whole'
      ? answer.reason
      : Object.fromEntries([...answer.answers].map(([path, { json }]) => [path, json]));
  };
  assert.deepEqual(read('{"b": {"c": [ 1 ]}, "a": 1e400}'), { '/b/c': '[ 1 ]', '/a': '1e400' });
  assert.deepEqual(read('{"a":1,"b":{"c":2,"d":3},"e":null,"f":{}}'), {
    '/a': '1',
    '/b/c': '2',
    '/b/d': '3',
    '/e': 'null',
  });
  assert.equal(read('{"a":1,"b":{}}'), 'left_out');
  assert.equal(read('{}'), 'left_out');
  assert.equal(read('{"a":1,"b":[{"c":2}]}'), 'not_asked');
  assert.equal(read('{"a":1,"b":2}'), 'not_asked');
  assert.equal(read('{"a":1,"b":{"c":2},"x":1}'), 'not_asked');
  assert.equal(read('{"a":1,"b":{"c":2},"__proto__":{}}'), 'not_asked');
  assert.equal(read('{"a":1,"b":{"c":2,"x":1}}'), 'not_asked');
  assert.equal(read('{"a":1,"b":{"c":2},"a":1}'), 'repeated_names');
  assert.equal(read('[{"a":1,"b":{"c":2}}]'), 'no_object');
  assert.equal(read('Here it is: {"a":1,"b":{"c":2}}'), 'no_object');
  assert.equal(read(`{"a":"${'x'.repeat(LIMITS.judgedCharacters)}","b":{"c":2}}`), 'too_large');
});

test('the judged values of an answer go along with its texts', () => {
  const text = '{"b":{"c":[1,2]},"a":3}';
  const judged = ['/b/c/0', '/b/c/1', '/a'].map((path, at) => ({
    path,
    score: 0,
    confidence: at / 10,
    isSure: at > 0,
  }));
  const own = plan(['/a', '/b/c']);
  const answer = runAtOnce(readFieldAnswer(text, own, judged));
  assert.ok(answer.kind === 'answers');
  assert.deepEqual(
    answer.answers.get('/b/c')?.fields?.map(({ confidence }) => confidence),
    [0, 0.1],
  );
  assert.deepEqual(
    answer.answers.get('/a')?.fields?.map(({ confidence }) => confidence),
    [0.2],
  );
  assert.deepEqual(runAtOnce(readFieldAnswer(text, own, judged.slice(1))), { kind: 'whole', reason: 'not_judged' });
  assert.notEqual(parseJson(text), undefined);
});

test('nothing is merged where scalars and what is known of them do not pair', () => {
  const source = { path: '', stage: 0, confidence: 0.9, isSure: true };
  const merged = (drafted: number, answered: number): string =>
    textOf(
      runAtOnce(
        mergeFields({
          draft: { text: '{"a":[1],"b":2}', fields: Array.from({ length: drafted }, () => source) },
          plan: plan(['/a']),
          answers: new Map([['/a', { json: '[3]', fields: Array.from({ length: answered }, () => source) }]]),
          stage: 1,
          format: null,
        }),
      ),
    );
  assert.equal(merged(2, 1), '{"a":[3],"b":2}');
  for (const [drafted, answered] of [
    [1, 1],
    [3, 1],
    [2, 0],
    [2, 2],
  ] as const) {
    assert.equal(merged(drafted, answered), 'not_judged');
  }
});
