import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { z } from 'zod';
import type { EndpointUrl } from '../endpoints/index.ts';
import type { Json, JsonObject } from '../text/json.ts';
import { applySettings, mergeSettings, NO_SETTINGS, settingsShape, type RequestSettings } from './settings.ts';

const schema = z.strictObject(settingsShape);

/** The paths of what is wrong with settings. */
function problemsOf(given: unknown): string[] {
  const read = schema.safeParse(given);
  return read.error?.issues.map(({ path, message }) => `${path.map(String).join('.')}: ${message}`) ?? [];
}

const CHAT = '/v1/chat/completions';
const RESPONSES = '/v1/responses';

/** Settings as they are written in the YAML. */
function settingsOf(given: z.input<typeof schema>): RequestSettings {
  return { ...schema.parse(given), system: null };
}

const applied = (
  body: JsonObject,
  given: z.input<typeof schema>,
  { endpoint = CHAT, own = [] }: { endpoint?: EndpointUrl; own?: readonly string[] } = {},
): JsonObject => applySettings(body, endpoint, settingsOf(given), own);

const RESERVED = [
  'stream',
  'stream_options',
  'n',
  'model',
  'messages',
  'prompt',
  'input',
  'logprobs',
  'top_logprobs',
  'tools',
  'response_format',
];

for (const key of RESERVED) {
  test(`${key} is refused wherever it stands, with its place`, () => {
    const no = `no "${key}" (Spillway sets it itself)`;
    for (const part of ['default', 'override']) {
      assert.deepEqual(problemsOf({ request: { [part]: { [key]: 1 } } }), [`request.${part}.${key}: ${no}`]);
      const special = { request: { [part]: { [RESPONSES]: { [key]: 1 } } } };
      assert.deepEqual(problemsOf(special), [`request.${part}.${RESPONSES}.${key}: ${no}`]);
    }
    assert.deepEqual(problemsOf({ rename: { [key]: 'other' } }), [`rename.${key}: ${no}`]);
    assert.deepEqual(problemsOf({ rename: { other: key } }), [`rename.other: ${no}`]);
    assert.deepEqual(problemsOf({ rename: { [RESPONSES]: { [key]: 'other' } } }), [
      `rename.${RESPONSES}.${key}: ${no}`,
    ]);
    assert.deepEqual(problemsOf({ rename: { [RESPONSES]: { other: key } } }), [`rename.${RESPONSES}.other: ${no}`]);
    assert.deepEqual(problemsOf({ drop: ['logit_bias', key] }), [`drop.1: ${no}`]);
  });
}

test('settings that are none are refused with their place', () => {
  const fields = 'expected fields of requests';
  assert.deepEqual(problemsOf({ request: { default: { [RESPONSES]: 3 } } }), [
    `request.default.${RESPONSES}: ${fields}`,
  ]);
  assert.deepEqual(problemsOf({ request: { override: [] } }), [`request.override: ${fields}`]);
  assert.deepEqual(problemsOf({ rename: { max_tokens: { a: 'b' } } }), [
    'rename.max_tokens: expected the new name of a field',
  ]);
  assert.deepEqual(problemsOf({ rename: { [RESPONSES]: 'b' } }), [
    `rename.${RESPONSES}: expected fields with their new names`,
  ]);
  assert.match(problemsOf({ rename: { a: '' } }).join(), /^rename\.a: [^,]*$/);
  assert.equal(problemsOf({ request: { defaults: {} } }).length, 1);
  assert.equal(problemsOf({ drop: 'logit_bias' }).length, 1);
  assert.deepEqual(schema.parse({}), { request: { default: {}, override: {} }, rename: {}, drop: [] });
});

test('a mistyped endpoint is no field, and the format of a Responses request stays', () => {
  for (const given of [
    { request: { override: { '/v1/chat': { seed: 1 } } } },
    { request: { default: { '/v1/chat': 1 } } },
    { rename: { '/v1/chat': { a: 'b' } } },
    { request: { override: { text: 3 } } },
    { rename: { text: 'texts' } },
    { drop: ['text'] },
  ]) {
    assert.equal(problemsOf(given).length, 1, JSON.stringify(given));
  }
  assert.deepEqual(problemsOf({ request: { override: { text: { verbosity: 'low' } } } }), []);
});

test('the order: what the client sent, renamed, without what is dropped, defaults where absent, overrides', () => {
  const body = { model: 'm', max_tokens: 9, logit_bias: { 5: 1 }, temperature: 1, top_p: 0.5 };
  const given = {
    rename: { max_tokens: 'max_completion_tokens', logit_bias: 'bias' },
    drop: ['bias', 'top_p'],
    request: {
      default: { max_completion_tokens: 100, top_p: 1, service_tier: 'flex', seed: 1 },
      override: { temperature: 0, seed: 2 },
    },
  };
  assert.deepEqual(applied(body, given), {
    model: 'm',
    max_completion_tokens: 9,
    temperature: 0,
    top_p: 1,
    service_tier: 'flex',
    seed: 2,
  });
  assert.equal(body.max_tokens, 9, 'the client’s body stays as it is');
});

test('drop names fields as the server knows them', () => {
  assert.deepEqual(applied({ a: 1 }, { rename: { a: 'b' }, drop: ['a'] }), { b: 1 });
  assert.deepEqual(applied({ a: 1 }, { rename: { a: 'b' }, drop: ['b'] }), {});
});

test('objects merge deeply, everything else is replaced', () => {
  const body = { chat_template_kwargs: { a: 1, deep: { x: 1 } }, stop: ['a'] };
  const given = {
    request: {
      default: { chat_template_kwargs: { a: 9, b: 9, deep: { x: 9, y: 9 } }, stop: ['b'] },
      override: { chat_template_kwargs: { enable_thinking: false, deep: { z: 0 } } },
    },
  };
  assert.deepEqual(applied(body, given), {
    chat_template_kwargs: { a: 1, b: 9, deep: { x: 1, y: 9, z: 0 }, enable_thinking: false },
    stop: ['a'],
  });
  assert.deepEqual(applied({ a: { b: 1 } }, { request: { override: { a: [1] } } }), { a: [1] });
  assert.deepEqual(
    applied({ a: null }, { request: { default: { a: 1 } } }),
    { a: null },
    'null was said by the client',
  );
});

test('settings under the name of an endpoint are for its requests only, and win over general ones', () => {
  const given = {
    rename: { max_tokens: 'limit', [RESPONSES]: { max_tokens: 'max_output_tokens', user: 'safety_identifier' } },
    request: {
      default: { seed: 1, [RESPONSES]: { reasoning: { effort: 'low' } } },
      override: { temperature: 0, reasoning: { summary: 'auto' }, [RESPONSES]: { temperature: 1 } },
    },
  };
  const body = { max_tokens: 5, user: 'u' };
  assert.deepEqual(applied(body, given), {
    limit: 5,
    user: 'u',
    seed: 1,
    temperature: 0,
    reasoning: { summary: 'auto' },
  });
  assert.deepEqual(applied(body, given, { endpoint: RESPONSES }), {
    max_output_tokens: 5,
    safety_identifier: 'u',
    seed: 1,
    temperature: 1,
    reasoning: { effort: 'low', summary: 'auto' },
  });
});

test('a field under both names keeps the one that the server knows, in whichever order they were sent', () => {
  const given = { rename: { max_tokens: 'max_completion_tokens' } };
  assert.deepEqual(applied({ max_tokens: 1, max_completion_tokens: 2 }, given), { max_completion_tokens: 2 });
  assert.deepEqual(applied({ max_completion_tokens: 2, max_tokens: 1 }, given), { max_completion_tokens: 2 });
});

test('names that are swapped or handed on lose nothing', () => {
  const body = { a: 1, b: 2 };
  assert.deepEqual(applied(body, { rename: { a: 'b', b: 'a' } }), { a: 2, b: 1 });
  assert.deepEqual(applied(body, { rename: { a: 'b', b: 'c' } }), { b: 1, c: 2 });
});

test('overrides do not touch fields that a call has set for itself, by either name', () => {
  const own = ['max_tokens', 'temperature'];
  const body = { max_tokens: 1, temperature: 0 };
  const plain = { request: { override: { max_tokens: 500, temperature: 1, seed: 3 } } };
  assert.deepEqual(applied(body, plain, { own }), { ...body, seed: 3 });
  const renamed = {
    rename: { max_tokens: 'max_completion_tokens' },
    request: { override: { max_completion_tokens: 500, max_tokens: 500 }, default: { max_completion_tokens: 7 } },
  };
  assert.deepEqual(applied(body, renamed, { own }), { max_completion_tokens: 1, temperature: 0 });
  for (const both of [
    { max_completion_tokens: 300, max_tokens: 1 },
    { max_tokens: 1, max_completion_tokens: 300 },
  ]) {
    assert.deepEqual(applied(both, renamed, { own }), { max_completion_tokens: 1 }, 'the call’s own one counts');
  }
  assert.deepEqual(applied({ max_completion_tokens: 300 }, { rename: renamed.rename }, { own }), {
    max_completion_tokens: 300,
  });
  const special = { request: { override: { [CHAT]: { temperature: 1 } } } };
  assert.deepEqual(applied(body, special, { own }), body);
});

test('plain settings return the body itself', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.constantFrom(CHAT, RESPONSES), (body, endpoint) => {
      assert.equal(applySettings(body as JsonObject, endpoint, NO_SETTINGS), body);
      assert.equal(applied(body as JsonObject, {}, { endpoint, own: ['max_tokens'] }), body);
    }),
  );
});

const NAMES = ['max_tokens', 'max_completion_tokens', 'temperature', 'seed', 'logit_bias', '__proto__', 'constructor'];
const name = fc.constantFrom(...NAMES);
const json = fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.dictionary(name, fc.nat(3))) as fc.Arbitrary<Json>;
const fields = fc.dictionary(name, json, { maxKeys: 4 });
const withEndpoints = fc.tuple(fields, fc.option(fields), fc.option(fields)).map(([general, chat, responses]) => ({
  ...general,
  ...(chat === null ? {} : { [CHAT]: chat }),
  ...(responses === null ? {} : { [RESPONSES]: responses }),
}));
const renames = fc.dictionary(name, name, { maxKeys: 3 });
const settings = fc.record(
  {
    request: fc.record({ default: withEndpoints, override: withEndpoints }, { noNullPrototype: true }),
    rename: fc
      .tuple(renames, fc.option(renames))
      .map(([all, own]) => (own === null ? all : { ...all, [RESPONSES]: own })),
    drop: fc.array(name, { maxLength: 2 }),
    system: fc.constant(null),
  },
  { noNullPrototype: true },
);
const bodies = fc.dictionary(fc.constantFrom(...NAMES, ...RESERVED, 'user'), json);

test('whatever is set, no reserved field ever changes, comes or goes', () => {
  fc.assert(
    fc.property(bodies, fc.constantFrom(CHAT, RESPONSES), settings, (body, endpoint, given) => {
      const sent = applySettings(body, endpoint, given);
      for (const key of RESERVED) {
        assert.equal(Object.hasOwn(sent, key), Object.hasOwn(body, key), key);
        assert.equal(sent[key], body[key], key);
      }
      assert.equal(sent['user'], body['user'], 'nor does a field that no setting names');
      assert.ok(![CHAT, RESPONSES].some((url) => Object.hasOwn(sent, url)), 'an endpoint is no field');
    }),
  );
});

test('whatever is set, dropped fields come back by defaults and overrides only, and overrides have the last word', () => {
  fc.assert(
    fc.property(bodies, settings, (body, given) => {
      const sent = applySettings(body, CHAT, given);
      const { default: defaults, override } = given.request;
      const setFor = (all: JsonObject, key: string) =>
        [all, all[CHAT] as JsonObject | undefined].some((one) => one !== undefined && Object.hasOwn(one, key));
      for (const key of given.drop) {
        assert.equal(Object.hasOwn(sent, key), setFor(defaults, key) || setFor(override, key), key);
      }
      for (const [key, value] of Object.entries({ ...override, ...override[CHAT] })) {
        if (key === CHAT || key === RESPONSES || (typeof value === 'object' && value !== null)) continue;
        assert.equal(sent[key], value, key);
      }
    }),
  );
});

test('a stage’s settings win over its model’s, key by key', () => {
  const model = settingsOf({
    request: {
      default: { temperature: 0, chat_template_kwargs: { a: 1, b: 1 } },
      override: { seed: 1, [RESPONSES]: { reasoning: { effort: 'low' } } },
    },
    rename: { max_tokens: 'limit', [RESPONSES]: { a: 'b', c: 'd' } },
    drop: ['logit_bias', 'user'],
  });
  const stage = {
    ...settingsOf({
      request: {
        default: { temperature: 1, chat_template_kwargs: { b: 2 } },
        override: { [RESPONSES]: { reasoning: { summary: 'auto' } } },
      },
      rename: { max_tokens: 'max_completion_tokens', [RESPONSES]: { a: 'z' } },
      drop: ['user', 'seed'],
    }),
    system: 'Be brief.',
  };
  assert.deepEqual(mergeSettings(model, stage), {
    request: {
      default: { temperature: 1, chat_template_kwargs: { a: 1, b: 2 } },
      override: { seed: 1, [RESPONSES]: { reasoning: { effort: 'low', summary: 'auto' } } },
    },
    rename: { max_tokens: 'max_completion_tokens', [RESPONSES]: { a: 'z', c: 'd' } },
    drop: ['logit_bias', 'user', 'seed'],
    system: 'Be brief.',
  });
  assert.deepEqual(mergeSettings(model, NO_SETTINGS), model);
  assert.deepEqual(mergeSettings(NO_SETTINGS, stage), stage);
});

test('a stage’s general key wins over its model’s key for one endpoint', () => {
  const model = {
    ...NO_SETTINGS,
    request: { default: {}, override: { '/v1/chat/completions': { temperature: 1, seed: 7 } } },
    rename: { '/v1/chat/completions': { max_tokens: 'a' } },
  };
  const stage = { ...NO_SETTINGS, request: { default: {}, override: { temperature: 0 } }, rename: { max_tokens: 'b' } };
  const merged = mergeSettings(model, stage);
  assert.deepEqual(applySettings({ max_tokens: 1 }, '/v1/chat/completions', merged), { b: 1, temperature: 0, seed: 7 });
  assert.deepEqual(applySettings({ max_tokens: 1 }, '/v1/completions', merged), { b: 1, temperature: 0 });
});
