import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runAtOnce } from '../text/slices.ts';
import fc from 'fast-check';
import { answerTokens, type AlignmentOptions } from './answer-tokens.ts';
import type { TokenLogprob } from './completion-tokens.ts';

const OPTIONS: AlignmentOptions = { reasoned: false, count: null, thoughts: 0, stops: [] };

const tokenOf = (token: string, at: number, bytes: readonly number[] | null = null): TokenLogprob => ({
  token,
  bytes,
  logprob: -at,
  top: [{ token, logprob: -at }],
});

/** Which of some tokens, by their places, are a text's own; null: they do not cover it. */
function placesIn(
  text: string,
  tokens: readonly TokenLogprob[],
  options: Partial<AlignmentOptions> = {},
  thought = '',
): readonly number[] | null {
  const raw = thought + text;
  const found = runAtOnce(
    answerTokens(tokens, { raw, from: thought.length, to: raw.length }, { ...OPTIONS, ...options }),
  );
  return found?.tokens.map(({ logprob }) => Math.abs(logprob)) ?? null;
}

const list = (...tokens: readonly string[]): TokenLogprob[] => tokens.map((token, at) => tokenOf(token, at));
const upTo = (count: number): number[] => Array.from({ length: count }, (_, at) => at);

const piece = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 4 });
const spaced = fc.stringMatching(/^ ?[a-zé€😀0-9{}":,]{1,4}$/u);
const isBlank = (text: string): boolean => text.trim() === '';

/** GPT-2's characters for bytes. */
function byteLevel(text: string): string {
  const isItself = (byte: number) => (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
  const others = upTo(256).filter((byte) => !isItself(byte));
  return [...Buffer.from(text)]
    .map((byte) => String.fromCodePoint(isItself(byte) ? byte : 256 + others.indexOf(byte)))
    .join('');
}

/** How servers may write a token. */
const WRITINGS: Readonly<Record<string, (text: string, at: number) => TokenLogprob>> = {
  'its text': (text, at) => tokenOf(text, at),
  'its bytes': (text, at) => tokenOf('?', at, [...Buffer.from(text)]),
  'SentencePiece marks': (text, at) => tokenOf(text.replaceAll(' ', '▁'), at),
  'SentencePiece marks, and their bytes': (text, at) => {
    const marked = text.replaceAll(' ', '▁');
    return tokenOf(marked, at, [...Buffer.from(marked)]);
  },
  'byte-level marks': (text, at) => tokenOf(byteLevel(text), at),
  'byte-level marks, and their bytes': (text, at) => tokenOf(byteLevel(text), at, [...Buffer.from(byteLevel(text))]),
};

for (const [name, write] of Object.entries(WRITINGS)) {
  test(`tokens that make up a text cover it, and without any that is not blank they do not: ${name}`, () => {
    fc.assert(
      fc.property(fc.array(spaced, { minLength: 1 }), fc.nat(), fc.boolean(), (pieces, nth, isTrimmed) => {
        const joined = pieces.join('');
        const text = isTrimmed ? joined.trim() : joined;
        const tokens = pieces.map(write);
        assert.deepEqual(placesIn(text, tokens), upTo(pieces.length));
        const at = nth % pieces.length;
        // The server's count is beside the point where the bytes say that some are missing.
        const left = tokens.toSpliced(at, 1);
        if (left.length > 0) assert.equal(placesIn(text, left, { count: pieces.length }), null);
      }),
    );
  });
}

test('any tokens that concatenate to a text cover it, whatever their characters', () => {
  fc.assert(
    fc.property(fc.array(piece, { minLength: 1 }), (pieces) => {
      fc.pre(!isBlank(pieces.join('')));
      assert.deepEqual(placesIn(pieces.join(''), list(...pieces)), upTo(pieces.length));
    }),
  );
});

test('thoughts before an answer and marks behind it are no tokens of it, in the text or beside it', () => {
  fc.assert(
    fc.property(fc.array(spaced), fc.array(spaced, { minLength: 1 }), (thoughts, pieces) => {
      const before = ['<think>', ...thoughts, '</think>', '\n\n'];
      const tokens = list(...before, ...pieces, '<|im_end|>');
      const text = pieces.join('').trimStart();
      const own = upTo(pieces.length).map((at) => at + before.length);
      assert.deepEqual(placesIn(text, tokens, { reasoned: true }), own);
      assert.deepEqual(placesIn(text, tokens, {}, before.join('')), own);
    }),
  );
});

test('what a thought says of an answer whose tokens are missing is not the answer', () => {
  const thought = ['4', '2', ' is', ' 42', '</think>'];
  assert.equal(placesIn('42', list(...thought), { reasoned: true }), null);
  assert.equal(placesIn('42', list('so', ' 42', ' it', ' is'), { reasoned: true }), null);
  assert.deepEqual(placesIn('42', list(...thought, '42', '</s>'), { reasoned: true }), [5]);
  const stopped = list('hm', '42', '\n', 'END', ' of');
  assert.deepEqual(placesIn('42', stopped, { reasoned: true, stops: ['END'] }), [1]);
});

test('the end of a thought is not its answer, where the thought does not end or its answer is not listed', () => {
  for (const open of ['<think>', '<seed:think>', '[THINK]', '◁think▷']) {
    for (const reasoned of [true, false]) {
      assert.equal(placesIn('4', list(open, 'so', ' 4'), { reasoned, count: 5 }), null, open);
      const close = open === '<seed:think>' ? '</seed:think>' : `${open[0]}/${open.slice(1)}`;
      assert.deepEqual(placesIn('4', list(open, 'so', ' 4', close, '4'), { reasoned, count: 5 }), [4], open);
      assert.deepEqual(placesIn('4', list(`${open}\n${close}`, '4'), { reasoned, count: 2 }), [1], open);
    }
  }
  const [both, alone] = [list('so', ' 4', '\n', '4'), list('so', ' 4')];
  assert.deepEqual(placesIn('4', both, { reasoned: true, count: 5 }), [3], 'the end mark is counted');
  assert.deepEqual(placesIn('4', both, { reasoned: true, count: 2, thoughts: 3 }), [3]);
  assert.equal(placesIn('4', alone, { reasoned: true, count: 4 }), null);
  assert.equal(placesIn('4', alone, { reasoned: true, count: 2, thoughts: 3 }), null);
  assert.equal(placesIn('4', alone, { count: 4 }, 'so 4 </think>'), null, 'nor where the thought is in the text');
  assert.deepEqual(placesIn('4', list('4', '<|im_end|>'), { reasoned: true, count: 40 }), [0], 'the answer alone');
  assert.deepEqual(placesIn('a <think> b', list('a', ' <think>', ' b', '</s>'), { count: 4 }), [0, 1, 2]);
});

test('an answer may begin within a token that ends its thought', () => {
  const tokens = list('<think>', 'hm', '</think>{"', 'a', '":', ' 1}');
  assert.deepEqual(placesIn('{"a": 1}', tokens, {}, '<think>hm</think>'), [2, 3, 4, 5]);
});

test('a stop string may cut the last token; a text that goes on beyond the tokens is not covered', () => {
  assert.deepEqual(placesIn('yes', list(' ye', 'sEND')), [0, 1]);
  assert.equal(placesIn('yes sir', list('yes')), null);
  assert.equal(placesIn('yes sir', list('yes'), { count: 2 }), null);
  assert.equal(placesIn('yes sir', list(' sir'), { count: 2 }), null);
  assert.equal(placesIn('yes my sir', list('yes', ' sir', '<|im_end|>'), { count: 4 }), null);
});

test('halves of characters that a server writes as � stand for any', () => {
  assert.deepEqual(placesIn('a 😀 é!', list('a', ' �', '�', '�', ' �', '�', '!')), upTo(7));
  const bytes = [...Buffer.from('�')];
  assert.deepEqual(placesIn('€', [tokenOf('�', 0, bytes), tokenOf('�', 1, bytes)]), [0, 1]);
  assert.equal(placesIn('a 😀 b', list('a', ' �', '�')), null);
  assert.equal(placesIn('a 😀 b', list('a', ' b')), null);
  assert.deepEqual(placesIn('the �', list('the', ' �')), [0, 1], 'a text may have one itself');
});

test('tokens of bytes are read', () => {
  assert.deepEqual(placesIn('a\nb', list('▁a', '<0x0A>', 'b')), [0, 1, 2]);
  assert.deepEqual(placesIn('é', list('<0xC3>', '<0xA9>')), [0, 1]);
  assert.deepEqual(placesIn('a’', list('a', 'bytes:\\xe2\\x80', 'bytes:\\x99')), [0, 1, 2]);
  const undone = runAtOnce(answerTokens(list('▁True'), { raw: 'True', from: 0, to: 4 }, OPTIONS));
  assert.deepEqual(undone?.tokens, [
    { token: ' True', bytes: [...Buffer.from(' True')], logprob: -0, top: [{ token: ' True', logprob: -0 }] },
  ]);
});

test('many tokens that look like the answer cost little', () => {
  const tokens = list(...Array.from({ length: 20_000 }, () => 'a'), '�');
  const before = process.threadCpuUsage();
  placesIn('a'.repeat(19_000) + 'b', tokens, { count: 5 });
  const { user, system } = process.threadCpuUsage(before);
  assert.ok(user + system < 2_000_000);
});
