import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { TokenLogprob } from '../../endpoints/completion.ts';
import { runAtOnce } from '../../text/slices.ts';
import type { JudgeRule } from '../rules.ts';
import { continuedText, readContinuedValue } from './continue.ts';
import { judgeContinued } from './judge-answer.ts';

const RULE: JudgeRule = { confidence: { signal: { name: 'sum_logprob' }, calibration: null }, acceptAt: 0.5 };
const token = (text: string, logprob: number): TokenLogprob => ({ token: text, bytes: null, logprob, top: [] });

type Continued = { readonly before: string; readonly text: string; readonly tokens: readonly TokenLogprob[] };
const judged = ({ before, text, tokens }: Continued, path: string) =>
  runAtOnce(judgeContinued(before, { text, tokens }, { path, rule: RULE }));

const BEFORE = '{"kind": "x", "total';
const NEW = [token('": "', -3), token('10', -0.1), token('.15', -0.2), token('", "z": "', -3), token('y"}', -3)];
const textOf = (tokens: readonly TokenLogprob[]): string => tokens.map((one) => one.token).join('');

test('a value is judged by its own tokens, whether a server gives what is new or all of the text', () => {
  const expected = [{ path: '/total', score: -0.1 - 0.2, confidence: Math.exp(-0.1 - 0.2), isSure: true }];
  assert.deepEqual(judged({ before: BEFORE, text: textOf(NEW), tokens: NEW }, '/total'), expected);
  assert.deepEqual(judged({ before: BEFORE, text: BEFORE + textOf(NEW), tokens: NEW }, '/total'), expected);
  const all = [token('{"kind": "x",', -9), token(' "total', -9), ...NEW];
  assert.deepEqual(judged({ before: BEFORE, text: textOf(all), tokens: all }, '/total'), expected);
  const givenUp = { before: BEFORE, text: '": "10.15"', tokens: NEW };
  assert.deepEqual(judged(givenUp, '/total'), expected, 'tokens that came before their text');
});

test('what is in an object or array is judged value by value', () => {
  const tokens = [token('": [', 0), token('1', -0.1), token(', {"a": ', 0), token('2', -1), token('}], "b": 3', 0)];
  const found = judged({ before: '{"items', text: textOf(tokens), tokens }, '/items');
  assert.deepEqual(
    found?.map(({ path, score, isSure }) => [path, score, isSure]),
    [
      ['/items/0', -0.1, true],
      ['/items/1/a', -1, false],
    ],
  );
});

test('what the tokens do not spell, and what has no value, is not judged', () => {
  assert.equal(judged({ before: BEFORE, text: '": "10.15"}', tokens: [token('other', 0)] }, '/total'), null);
  assert.equal(judged({ before: BEFORE, text: '": "10.15"}', tokens: [] }, '/total'), null);
  const empty = [token('": []', 0), token('}', 0)];
  assert.equal(judged({ before: BEFORE, text: textOf(empty), tokens: empty }, '/total'), null);
});

test('whatever a model writes behind a name, its score is that of the tokens that its value overlaps', () => {
  const anyValue = fc.oneof(
    fc.string({ unit: 'grapheme', maxLength: 8 }),
    fc.integer(),
    fc.constantFrom(true, false, null),
  );
  fc.assert(
    fc.property(
      fc.record({ a: anyValue, b: anyValue, c: anyValue }),
      fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 6 }),
      fc.boolean(),
      (draft, lengths, isAll) => {
        const text = JSON.stringify(draft);
        const before = runAtOnce(continuedText(text, '/b', new Map()));
        const fresh = Array.from(text.slice(before.length));
        const pieces: string[] = [];
        for (let at = 0; fresh.length > 0; at += 1) pieces.push(fresh.splice(0, lengths[at % lengths.length]).join(''));
        const tokens = pieces.map((piece, at) => token(piece, -(at + 1)));
        const given = isAll ? text : text.slice(before.length);
        const value = runAtOnce(readContinuedValue(before, given));
        assert.ok(value.kind === 'value' && value.json === JSON.stringify(draft.b));
        const from = text.indexOf(value.json, before.length) - before.length;
        const isText = typeof draft.b === 'string';
        const [begin, end] = [from + (isText ? 1 : 0), from + value.json.length - (isText && draft.b !== '' ? 1 : 0)];
        let [at, score] = [0, 0];
        for (const [place, piece] of pieces.entries()) {
          if (at < end && at + piece.length > begin) score -= place + 1;
          at += piece.length;
        }
        const found = judged({ before, text: given, tokens }, '/b');
        assert.deepEqual(
          found?.map((one) => [one.path, one.score]),
          [['/b', score]],
        );
      },
    ),
    { numRuns: 1_000 },
  );
});
