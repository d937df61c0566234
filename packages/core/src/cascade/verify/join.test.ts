import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { AskedFormat } from '../../endpoints/index.ts';
import { LIMITS } from '../../limits.ts';
import { runAtOnce } from '../../text/slices.ts';
import { joinAnswer, type JoinedAnswer, type Joining } from './index.ts';

const OBJECT: AskedFormat = { type: 'json_object', schema: undefined };
const PLAIN = 'The sky is blue, and';

const join = (kept: string, continuation: string, more: Partial<Joining> = {}): JoinedAnswer =>
  runAtOnce(joinAnswer({ kept, continuation, format: null, stop: [], ...more }));
const textOf = (joined: JoinedAnswer): string | null => (joined.kind === 'joined' ? joined.text : null);

test('plain text is joined behind enough of it', () => {
  assert.deepEqual(join(PLAIN, ' the grass is green.'), {
    kind: 'joined',
    text: `${PLAIN} the grass is green.`,
    isStopped: false,
    isAnew: false,
  });
  assert.equal(textOf(join(PLAIN, '')), PLAIN);
  assert.equal(join('The sky is', ' blue').kind, 'no_join');
  assert.equal(join('', ' blue').kind, 'no_join');
  assert.equal(join(' \n', ' blue', { format: OBJECT }).kind, 'no_join');
});

test('a server that says the kept text again says the whole answer', () => {
  for (const space of ['', '\n']) {
    const whole = join(PLAIN, `${space}${PLAIN} so on`);
    assert.deepEqual(whole, { kind: 'joined', text: `${space}${PLAIN} so on`, isStopped: false, isAnew: true });
  }
  assert.equal(join(PLAIN, 'The sky is blue, but otherwise').kind, 'no_join', 'it began anew, and went on otherwise');
});

test('what can only be a mark between turns is no continuation', () => {
  for (const mark of [
    '<s>',
    '</s>',
    '<|begin_of_text|>',
    '<bos>',
    '<|im_start|>',
    '<｜begin▁of▁sentence｜>',
    '[INST]',
    ' <start_of_turn>',
  ]) {
    assert.equal(join(PLAIN, `${mark} the grass`).kind, 'no_join', mark);
    assert.equal(join('{"a":', `${mark}1}`, { format: OBJECT }).kind, 'no_join', mark);
  }
  assert.equal(join(PLAIN, ' <b>x</b>').kind, 'joined');
});

test('JSON must be whole, within bounds, and what was asked for', () => {
  assert.equal(textOf(join('{"a":', '1}', { format: OBJECT })), '{"a":1}');
  assert.equal(textOf(join('{"a":', '1}')), '{"a":1}', 'also where nobody asked for it');
  assert.equal(join('{"a":', '1').kind, 'no_join');
  assert.equal(join('[1,', '2]', { format: OBJECT }).kind, 'no_join');
  assert.equal(textOf(join('[1,', '2]')), '[1,2]');
  assert.equal(textOf(join('{"a":1', '{"a":1}', { format: OBJECT })), '{"a":1}', 'the whole of it');
  const schema: AskedFormat = { type: 'json_schema', schema: { properties: { a: { type: 'string' } } } };
  assert.equal(join('{"a":', '1}', { format: schema }).kind, 'no_join');
  assert.equal(join('{"a":', '"1"}', { format: schema }).kind, 'joined');
  const deep = '['.repeat(LIMITS.jsonDepth + 1);
  assert.equal(join(deep, deep.replaceAll('[', ']')).kind, 'no_join');
});

test('of a number or a string of JSON nobody knows whether it goes on', () => {
  const format: AskedFormat = { type: 'json_schema', schema: { type: ['number', 'string'] } };
  for (const [kept, more] of [
    ['1', '2'],
    ['"ab\\', '"x"'],
    ['tru', 'e'],
  ] as const) {
    assert.equal(join(kept, more, { format }).kind, 'no_join');
  }
});

test('a stop string ends the text, wherever it begins, unless all of it was kept before', () => {
  const stopped = (continuation: string, ...stop: readonly string[]): string | null => {
    const joined = join(PLAIN, continuation, { stop });
    return joined.kind === 'joined' && joined.isStopped ? joined.text : null;
  };
  assert.equal(stopped(' so END on', 'END'), `${PLAIN} so `);
  assert.equal(stopped(' so on', 'and so'), 'The sky is blue, ', 'it began in the kept text');
  assert.equal(stopped(' so on', 'sky', 'and', ''), null, 'the kept text may have said so');
  assert.equal(stopped(' so END on', 'END', 'so E', ' on'), `${PLAIN} `, 'the first of several');
  assert.equal(textOf(join('{"a":1', '}\n\nEND', { format: OBJECT, stop: ['\n\nEND'] })), '{"a":1}');
});

const scalar = fc.oneof(fc.string(), fc.integer(), fc.constantFrom(null, true, '{', '"', '\\', '[1', '}'));
const value = fc.letrec<{ node: unknown }>((tie) => ({
  node: fc.oneof({ maxDepth: 4 }, scalar, fc.array(tie('node')), fc.dictionary(fc.string(), tie('node'))),
})).node;
const container = fc.oneof(fc.array(value), fc.dictionary(fc.string(), value)).map((one) => JSON.stringify(one));
const anything = fc.oneof(
  container,
  value.map((one) => JSON.stringify(one)),
);

test('a JSON answer that is cut anywhere is joined as it was', () => {
  fc.assert(
    fc.property(container, fc.double({ min: 0, max: 1, noNaN: true }), (answer, share) => {
      const at = Math.max(1, Math.round(share * answer.length));
      assert.equal(textOf(join(answer.slice(0, at), answer.slice(at))), answer);
      assert.equal(textOf(join(answer.slice(0, at), answer)), answer, 'and where the server says the whole');
    }),
  );
});

test('an answer that began anew is never put behind the beginning of a JSON answer', () => {
  fc.assert(
    fc.property(
      container,
      anything,
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.constantFrom('', '\n', '```json\n'),
      (answer, other, share, before) => {
        const kept = answer.slice(0, Math.max(1, Math.round(share * answer.length)));
        const joined = join(kept, before + other);
        if (joined.kind === 'joined')
          assert.ok(joined.isAnew && joined.text === before + other && other.startsWith(kept));
      },
    ),
    { numRuns: 1_000 },
  );
});

test('an answer is the continuation, or what was kept with the continuation, up to a stop string', () => {
  const word = fc.constantFrom('a', 'b', ' ', 'END', '\n', 'é', '😀', '{', '}', '"', '1', ',');
  const text = fc.array(word, { size: 'medium' }).map((words) => words.join(''));
  const stops = fc.array(fc.constantFrom('END', 'ND', 'a b', '', '}'), { maxLength: 3 });
  fc.assert(
    fc.property(text, text, stops, fc.constantFrom(null, OBJECT), (kept, continuation, stop, format) => {
      const joined = join(kept, continuation, { stop, format });
      if (joined.kind === 'no_join') return;
      const whole = joined.isAnew ? continuation : kept + continuation;
      assert.ok(whole.startsWith(joined.text));
      assert.equal(joined.isStopped, joined.text !== whole);
      if (format !== null) JSON.parse(joined.text);
      else if (!/^\s*[[{]/.test(kept)) assert.ok(kept.trimStart().length >= 16);
      if (joined.isStopped) assert.ok(stop.some((one) => one !== '' && whole.startsWith(one, joined.text.length)));
      else if (!joined.isAnew) assert.ok(!stop.some((one) => one !== '' && continuation.includes(one)));
    }),
    { numRuns: 1_000 },
  );
});
