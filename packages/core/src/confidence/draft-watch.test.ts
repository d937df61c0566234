import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { CalibrationMethod } from '../calibration/index.ts';
import { judgeFields, mayHaveValues } from '../cascade/fields/index.ts';
import { route } from '../cascade/route.ts';
import type { FieldRules } from '../cascade/rules.ts';
import { ENDPOINTS } from '../endpoints/index.ts';
import { LIMITS } from '../limits.ts';
import type { JsonObject } from '../text/json.ts';
import { runAtOnce } from '../text/slices.ts';
import { DraftWatch, judge, type SignalSpec } from './index.ts';

type Token = { readonly text: string; readonly logprob: number };

const BOUNDED: readonly SignalSpec[] = [{ name: 'sum_logprob' }, { name: 'min_logprob' }];

/** JSON as models write it, and other texts, some of which begin as JSON does. */
const anyText = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }).map((value) => JSON.stringify(value)),
  fc.jsonValue({ maxDepth: 3 }).map((value) => JSON.stringify(value, null, 2)),
  fc
    .tuple(fc.constantFrom('{', '[', ' \n{', '\u00a0{', '```json\n{'), fc.string())
    .map(([begin, rest]) => begin + rest),
  fc.string({ unit: 'grapheme', minLength: 1 }),
);

const anyLogprob = fc.oneof(
  { weight: 5, arbitrary: fc.double({ min: -0.05, max: 0, noNaN: true }) },
  { weight: 1, arbitrary: fc.double({ min: -8, max: 0, noNaN: true }) },
);

/** A text in tokens of a few characters, some of them without any. */
const tokensFrom = (text: string): fc.Arbitrary<readonly Token[]> =>
  fc
    .tuple(fc.array(fc.nat({ max: 5 }), { minLength: 1, maxLength: 12 }), fc.array(anyLogprob, { minLength: 1 }))
    .map(([lengths, logprobs]) => {
      const characters = Array.from(text);
      const tokens: Token[] = [];
      for (let at = 0; characters.length > 0; at += 1) {
        const length = Math.max(at % lengths.length === 0 ? 1 : 0, lengths[at % lengths.length] ?? 1);
        tokens.push({ text: characters.splice(0, length).join(''), logprob: logprobs[at % logprobs.length] ?? 0 });
      }
      return tokens;
    });
const anyTokens = anyText.chain(tokensFrom);

const anyCalibration: fc.Arbitrary<CalibrationMethod | null> = fc.oneof(
  fc.constant(null),
  fc.record({
    method: fc.constant('platt' as const),
    a: fc.double({ min: 0, max: 5, noNaN: true }),
    b: fc.double({ min: -3, max: 3, noNaN: true }),
  }),
  fc.record({
    method: fc.constant('beta' as const),
    a: fc.double({ min: 0, max: 3, noNaN: true }),
    b: fc.double({ min: 0, max: 3, noNaN: true }),
    c: fc.double({ min: -2, max: 2, noNaN: true }),
  }),
  fc
    .tuple(
      fc.array(fc.double({ min: -6, max: 0, noNaN: true }), { minLength: 3, maxLength: 3 }),
      fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 3, maxLength: 3 }),
    )
    .map(([scores, values]) => ({
      method: 'isotonic' as const,
      curve: { scores: scores.toSorted((a, b) => a - b), values: values.toSorted((a, b) => a - b) },
    })),
);

const chunkOf = (tokens: readonly Token[], more: JsonObject = {}): JsonObject => ({
  object: 'chat.completion.chunk',
  choices: [
    {
      index: 0,
      delta: { content: tokens.map(({ text }) => text).join('') },
      logprobs: {
        content: tokens.map(({ text, logprob }) => ({ token: text, logprob, bytes: null, top_logprobs: [] })),
      },
      finish_reason: null,
      ...more,
    },
  ],
});

/** The events of an answer, some tokens in each. */
const eventsOf = (tokens: readonly Token[], size: number): JsonObject[] => [
  ...Array.from({ length: Math.ceil(tokens.length / size) }, (_, at) =>
    chunkOf(tokens.slice(at * size, (at + 1) * size)),
  ),
  { object: 'chat.completion.chunk', choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] },
];

const { stream, read } = ENDPOINTS['/v1/chat/completions'];

type Rule = { readonly signal: SignalSpec; readonly calibration: CalibrationMethod | null };
type Watching = {
  readonly rule: Rule;
  readonly acceptAt: number;
  readonly fields?: FieldRules;
  readonly onlyJson?: boolean;
};

/** After how many events a draft is given up; null: it is not. */
function stoppedAt(events: readonly JsonObject[], { rule, acceptAt, fields, onlyJson = false }: Watching) {
  const watch = new DraftWatch({ confidence: rule, acceptAt, fields, onlyJson });
  const at = events.findIndex((event) => stream.draft?.(event) !== undefined && watch.push(stream.draft(event)));
  return at === -1 ? null : { at, stop: watch.stop };
}

/** What is decided of the whole draft. */
function decisionOf(events: readonly JsonObject[], watching: Watching, request: JsonObject = {}) {
  const { rule, acceptAt, fields } = watching;
  const collector = stream.collect();
  for (const event of events) collector.push(event);
  const completion = runAtOnce(read(collector.body(), request));
  assert.ok(completion !== null);
  const judged = runAtOnce(judge({ completion, endpoint: '/v1/chat/completions', request }, rule));
  if (fields === undefined) return route(judged, { acceptAt });
  const values = judged.kind === 'scored' ? judged.fields : null;
  const judgement = values === null ? null : judgeFields(values, { confidence: rule, acceptAt, fields });
  const areSure = judgement?.isFinal ?? (runAtOnce(mayHaveValues(completion.text ?? '')) ? false : null);
  return route(judged, { acceptAt, areSure });
}

/**
 * What begins as JSON and is none is judged by all its tokens, which only the end shows; and whether one without
 * characters is an end mark, only what follows.
 */
const isClear = (tokens: readonly Token[], { fields }: { readonly fields: unknown }): boolean =>
  tokens.every(({ text }) => text !== '') &&
  (fields !== null || !/^\s*[[{]/.test(tokens.map(({ text }) => text).join('')));

test('what is given up would have been escalated, and what would have been found unsure is given up', () => {
  let [stopped, accepted, early] = [0, 0, 0];
  fc.assert(
    fc.property(
      fc.constantFrom(...BOUNDED),
      anyCalibration,
      fc.double({ min: 0.01, max: 1, noNaN: true }),
      anyTokens,
      fc.integer({ min: 1, max: 4 }),
      (signal, calibration, acceptAt, tokens, size) => {
        const watching = { rule: { signal, calibration }, acceptAt };
        const events = eventsOf(tokens, size);
        const found = stoppedAt(events, watching);
        const decision = decisionOf(events, watching);
        if (decision.kind === 'accept') accepted += 1;
        if (found !== null) {
          stopped += 1;
          if (found.at < events.length - 2) early += 1;
          assert.equal(decision.kind, 'escalate');
        } else if (decision.kind === 'escalate' && decision.reason === 'low_confidence' && isClear(tokens, decision)) {
          assert.ok(
            acceptAt - (decision.confidence ?? 0) < 1e-6,
            `an unsure draft was not given up: ${JSON.stringify(tokens)}`,
          );
        }
      },
    ),
    { numRuns: 5_000 },
  );
  assert.ok(stopped > 500 && accepted > 500 && early > 200, `${stopped} stopped, ${early} early, ${accepted} accepted`);
});

const anyThreshold = fc.double({ min: 0.01, max: 1, noNaN: true });

/** Rules of values by the names that the drafts below have, or by the places of an array. */
const anyFields: fc.Arbitrary<FieldRules> = fc.dictionary(
  fc.constantFrom('', '/a', '/b', '/*', '/0', '/a/b', '/*/a'),
  fc.record({ acceptAt: anyThreshold, calibration: anyCalibration.map((one) => one ?? undefined) }),
  { minKeys: 1, maxKeys: 4 },
);

const anyNamed: fc.Arbitrary<string> = fc
  .letrec((tie) => ({
    value: fc.oneof({ maxDepth: 2 }, fc.constantFrom(1, 'x', null), tie('object'), tie('array')),
    object: fc.dictionary(fc.constantFrom('a', 'b', 'c'), tie('value')),
    array: fc.array(tie('value'), { maxLength: 3 }),
  }))
  .value.map((value) => JSON.stringify(value));

test('where values have rules of their own, what is given up would have been escalated as well', () => {
  let [stopped, accepted, early] = [0, 0, 0];
  fc.assert(
    fc.property(
      fc.record({ signal: fc.constantFrom(...BOUNDED), calibration: anyCalibration }),
      anyThreshold,
      anyFields,
      fc.oneof({ weight: 3, arbitrary: anyNamed }, anyText).chain(tokensFrom),
      (rule, acceptAt, fields, tokens) => {
        const watching = { rule, acceptAt, fields };
        const events = eventsOf(tokens, 1);
        const found = stoppedAt(events, watching);
        const decision = decisionOf(events, watching);
        if (decision.kind === 'accept') accepted += 1;
        if (found === null) return;
        stopped += 1;
        if (found.at < events.length - 2) early += 1;
        assert.equal(decision.kind, 'escalate');
      },
    ),
    { numRuns: 5_000 },
  );
  assert.ok(stopped > 300 && accepted > 300 && early > 100, `${stopped} stopped, ${early} early, ${accepted} accepted`);
});

const PLAIN: Watching = { rule: { signal: { name: 'sum_logprob' }, calibration: null }, acceptAt: 0.7 };
const tokensOf = (...pairs: readonly (readonly [string, number])[]): Token[] =>
  pairs.map(([text, logprob]) => ({ text, logprob }));

test('an object is given up within the value that is unsure, whatever its names and brackets say', () => {
  const tokens = tokensOf(['{"', -3], ['a', -3], ['":"', -2], ['x', -0.1], ['yz', -0.3], ['"', 0], [',"b":1}', 0]);
  const found = stoppedAt(eventsOf(tokens, 1), PLAIN);
  assert.deepEqual(found, { at: 4, stop: { reason: 'low_confidence', scoreAtMost: -0.4, tokens: 5 } });
});

test('values do not add up: each has its own bound', () => {
  const tokens = tokensOf(['{"a":', 0], ['1', -0.3], [',"b":', 0], ['2', -0.3], ['}', 0]);
  assert.equal(stoppedAt(eventsOf(tokens, 1), PLAIN), null);
  assert.equal(decisionOf(eventsOf(tokens, 1), PLAIN).kind, 'accept');
});

test('a text that may be a thought is not given up for its score', () => {
  const tokens = tokensOf(['Well', -2], [', then', -1]);
  assert.equal(stoppedAt(eventsOf(tokens, 1), { ...PLAIN, onlyJson: true }), null);
  assert.equal(stoppedAt(eventsOf(tokens, 1), PLAIN)?.at, 0);
});

test('tokens that do not spell the text say nothing before the end', () => {
  const odd = chunkOf(tokensOf(['yes', -5]));
  const [choice] = odd['choices'] as readonly JsonObject[];
  const spelt = { ...odd, choices: [{ ...choice, delta: { content: 'no' } }] };
  assert.equal(stoppedAt([spelt, chunkOf(tokensOf(['!', -5]))], PLAIN), null);
});

test('a character that comes in bytes is waited for', () => {
  const [high, low] = [
    { token: '\ufffd', bytes: [0xc3], logprob: -0.1, top_logprobs: [] },
    { token: '\ufffd', bytes: [0xa9], logprob: -0.5, top_logprobs: [] },
  ];
  const event = (content: string, token: JsonObject): JsonObject => ({
    choices: [{ index: 0, delta: { content }, logprobs: { content: [token] } }],
  });
  assert.equal(stoppedAt([event('', high), event('é', low)], PLAIN)?.at, 1);
});

test('a call, a refusal and what is too long to be judged are given up at once', () => {
  const calls = [{ index: 0, id: 'a', type: 'function', function: { name: 'f', arguments: '' } }];
  const said = (delta: JsonObject): JsonObject => ({ choices: [{ index: 0, delta }] });
  assert.equal(stoppedAt([said({ role: 'assistant', tool_calls: calls })], PLAIN)?.stop?.reason, 'tool_call');
  assert.equal(stoppedAt([said({ refusal: 'I' })], PLAIN)?.stop?.reason, 'refused');
  assert.equal(stoppedAt([said({ content: '', refusal: null, tool_calls: [] })], PLAIN), null);
  assert.equal(
    stoppedAt([said({ content: 'x'.repeat(LIMITS.judgedCharacters + 1) })], PLAIN)?.stop?.reason,
    'too_large',
  );
});

test('a value is given up only where no rule of all could accept it', () => {
  const tokens = tokensOf(['{"a":', 0], ['1', -0.5], ['}', 0]);
  const lenient = { '/a': { acceptAt: 0.5 } };
  assert.equal(stoppedAt(eventsOf(tokens, 1), PLAIN)?.at, 1);
  assert.equal(stoppedAt(eventsOf(tokens, 1), { ...PLAIN, fields: lenient }), null);
  assert.equal(decisionOf(eventsOf(tokens, 1), { ...PLAIN, fields: lenient }).kind, 'accept');
  const curve = { scores: [0], values: [0.4] };
  const doubted = { '/a': { acceptAt: 0.5, calibration: { method: 'isotonic' as const, curve } } };
  assert.equal(stoppedAt(eventsOf(tokens, 1), { ...PLAIN, fields: doubted })?.at, 1);
});
