import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readConfiguration } from '../config.ts';
import type { EndpointUrl } from '../endpoints/index.ts';
import type { JsonObject } from '../text/json.ts';
import { deduplicateRule, isDeduplicated, type DeduplicateRule } from './deduplicate.ts';

const CHAT = '/v1/chat/completions';

/** The rule of a cascade of two stages, with settings of the first model, of its stage, and of the second model. */
function ruleOf(
  { model = '', stage = '', large = '' }: { readonly model?: string; readonly stage?: string; readonly large?: string },
  endpoint: EndpointUrl = CHAT,
): DeduplicateRule {
  const more = (given: string): string => (given === '' ? '' : `, ${given}`);
  const read = readConfiguration(`
models:
  small: { base_url: http://a/v1, model: s${more(model)} }
  large: { base_url: http://b/v1, model: l${more(large)} }
cascades:
  test: { stages: [{ model: small, accept_at: 0.9${more(stage)} }, { model: large }] }
`);
  assert.equal(read.kind, 'valid', JSON.stringify(read));
  const { test: cascade } = read.configuration.cascades;
  assert.ok(cascade !== undefined);
  return deduplicateRule(read.configuration, cascade, endpoint);
}

const set = (kind: 'default' | 'override', value: string): string => `request: { ${kind}: ${value} }`;
const COLD = set('override', '{ temperature: 0 }');
const COLD_BY_DEFAULT = set('default', '{ temperature: 0 }');

test('what every stage is told counts, after all that the configuration does to it', () => {
  assert.equal(ruleOf({}), 'as_asked');
  assert.equal(ruleOf({ model: COLD, large: COLD }), 'always');
  assert.equal(ruleOf({ stage: COLD, large: COLD }), 'always');
  assert.equal(ruleOf({ model: COLD }), 'as_asked', 'the other stage asks as the body says');
  assert.equal(ruleOf({ model: COLD_BY_DEFAULT, large: COLD_BY_DEFAULT }), 'unless_asked_otherwise');
  assert.equal(ruleOf({ model: COLD, large: COLD_BY_DEFAULT }), 'unless_asked_otherwise');
  assert.equal(ruleOf({ model: COLD_BY_DEFAULT }), 'as_asked');
  assert.equal(ruleOf({ model: set('override', '{ temperature: 0.2 }') }), 'never');
  assert.equal(ruleOf({ large: set('override', '{ temperature: 1 }') }), 'never');
  assert.equal(ruleOf({ model: COLD, stage: set('override', '{ temperature: 1 }'), large: COLD }), 'never');
  assert.equal(ruleOf({ model: 'drop: [temperature]' }), 'never', 'the server takes another one');
  assert.equal(ruleOf({ model: `drop: [temperature], ${COLD_BY_DEFAULT}`, large: COLD }), 'always');
});

test('settings of one endpoint, and fields that servers know by another name', () => {
  const special = set('override', `{ ${CHAT}: { temperature: 0 } }`);
  assert.equal(ruleOf({ model: special, large: COLD }), 'always');
  assert.equal(ruleOf({ model: special, large: COLD }, '/v1/completions'), 'as_asked');
  assert.equal(ruleOf({ model: 'rename: { temperature: heat }' }), 'never', 'a body may have that field as well');
  assert.equal(
    ruleOf({ model: `rename: { temperature: heat }, ${set('override', '{ heat: 0 }')}`, large: COLD }),
    'always',
  );
  assert.equal(ruleOf({ model: `rename: { heat: temperature }` }), 'as_asked');
  assert.equal(ruleOf({ model: `rename: { heat: temperature }, ${COLD_BY_DEFAULT}`, large: COLD }), 'as_asked');
});

test('which bodies a rule is for', () => {
  const bodies: JsonObject[] = [
    { temperature: 0 },
    {},
    { temperature: 0.5 },
    { temperature: null },
    { temperature: '0' },
  ];
  const by = (rule: DeduplicateRule | undefined): boolean[] => bodies.map((body) => isDeduplicated(rule, body));
  assert.deepEqual(by('as_asked'), [true, false, false, false, false]);
  assert.deepEqual(by('unless_asked_otherwise'), [true, true, false, false, false]);
  assert.deepEqual(by('always'), [true, true, true, true, true]);
  for (const rule of ['never', undefined] as const) assert.ok(!by(rule).includes(true));
});
