import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LIMITS } from '../../limits.ts';
import { runAtOnce } from '../../text/slices.ts';
import { readScores, type ReadScores } from './index.ts';

type Shown = readonly [text: string, rank?: number, logprob?: unknown];

const entry = ([text, rank = 1, logprob = -0.1]: Shown, id = 7): object => ({
  [id]: { logprob, rank, decoded_token: text },
});
const bodyOf = (...tokens: readonly Shown[]): object => ({
  prompt_logprobs: [null, entry(['<|assistant|>', 3]), ...tokens.map((one) => entry(one))],
});
const read = (body: unknown, draft: string): ReadScores => runAtOnce(readScores(body, 'prompt_logprobs', draft));
const echo = (logprobs: object, text: string, draft: string, prompt = ''): ReadScores =>
  runAtOnce(readScores({ choices: [{ text, logprobs }] }, 'echo', draft, prompt));

/** Texts of groups, with how many tokens each has. */
const groups = (scores: ReadScores, draft: string): readonly (readonly [string, number])[] | string =>
  scores.kind === 'unreadable'
    ? scores.why
    : scores.tokens.map(({ from, to, tokens }) => [draft.slice(from, to), tokens] as const);

test('a token is the best if its rank is 1', () => {
  assert.deepEqual(read(bodyOf(['ab'], [' c', 2, -1.5]), 'ab c'), {
    kind: 'scored',
    tokens: [
      { from: 0, to: 2, tokens: 1, isBest: true, ratio: 1, logprob: -0.1 },
      { from: 2, to: 4, tokens: 1, isBest: false, ratio: 0, logprob: -1.5 },
    ],
  });
});

test('the scores of a completion are in its choice', () => {
  const { prompt_logprobs: entries } = bodyOf(['ab']) as { prompt_logprobs: unknown };
  assert.deepEqual(groups(read({ choices: [{ text: '', prompt_logprobs: entries }] }, 'ab'), 'ab'), [['ab', 1]]);
});

test('of two tokens the one of rank 1 is the alternative, in whatever order they stand', () => {
  const own = { logprob: -1.5, rank: 2, decoded_token: 'ab' };
  const best = { logprob: -0.5, rank: 1, decoded_token: 'x' };
  for (const one of [
    { 1: own, 2: best },
    { 1: best, 2: own },
  ]) {
    const scores = read({ prompt_logprobs: [null, one] }, 'ab');
    assert.ok(scores.kind === 'scored');
    assert.ok(Math.abs((scores.tokens[0]?.ratio ?? 0) - Math.exp(-1)) < 1e-12);
  }
});

test('of two that are as likely as each other the text says which is meant', () => {
  const tied = {
    1: { logprob: -0.7, rank: 1, decoded_token: 'x' },
    2: { logprob: -0.7, rank: 1, decoded_token: 'ab' },
  };
  for (const draft of ['ab', 'x']) {
    const scores = read({ prompt_logprobs: [null, tied] }, draft);
    assert.ok(scores.kind === 'scored' && scores.tokens[0]?.isBest === true);
  }
  assert.equal(read({ prompt_logprobs: [null, { ...tied, 1: { ...tied[1], logprob: -2 } }] }, 'ab').kind, 'unreadable');
});

test('of more tokens only one that is not among the likeliest is surely the own one', () => {
  const three = (rank: number): object => ({
    1: { logprob: -0.5, rank: 1, decoded_token: 'x' },
    2: { logprob: -1, rank: 2, decoded_token: 'y' },
    3: { logprob: -2, rank, decoded_token: 'ab' },
  });
  assert.equal(read({ prompt_logprobs: [null, three(4)] }, 'ab').kind, 'scored');
  assert.deepEqual(read({ prompt_logprobs: [null, three(3)] }, 'ab'), {
    kind: 'unreadable',
    why: "nobody can say which of several tokens is the prompt's own",
  });
});

test('white space that a template trimmed at the end is not scored; at the beginning nothing fits', () => {
  assert.deepEqual(groups(read(bodyOf(['ab']), 'ab \n'), 'ab \n'), [['ab', 1]]);
  assert.deepEqual(groups(read(bodyOf(['ab'], [' \n']), 'ab \n'), 'ab \n'), [
    ['ab', 1],
    [' \n', 1],
  ]);
  assert.equal(read(bodyOf(['ab']), ' ab').kind, 'unreadable');
  const template = bodyOf(['\n'], ['ab']) as { prompt_logprobs: unknown };
  assert.equal(read(template, '\nab').kind, 'unreadable', 'the line may be the template’s');
  assert.equal(read({ choices: [template] }, '\nab').kind, 'scored', 'a completion has no template');
});

test('a token that is of the prompt and of the draft scores neither', () => {
  assert.equal(read(bodyOf(['\n\nab']), 'ab').kind, 'unreadable');
  assert.equal(read(bodyOf(['x'], ['ab']), 'yab').kind, 'unreadable');
  assert.equal(read(bodyOf(['ab'], ['<|im_end|>']), 'ab').kind, 'unreadable');
});

test('a token is spelt whatever its characters', () => {
  const token = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(fc.array(fc.oneof(token, fc.constantFrom('a é', ' é', '\ud83d')), { minLength: 1 }), (texts) => {
      const draft = texts.join('');
      fc.pre(/^\S/.test(draft) && draft.isWellFormed());
      assert.deepEqual(
        groups(read(bodyOf(...texts.map((text): Shown => [text])), draft), draft),
        texts.map((text) => [text, 1]),
      );
    }),
  );
});

test('tokens that share a character are one group', () => {
  const said: Readonly<Record<string, readonly Shown[]>> = {
    'a😀b': [['a'], [''], [''], ['😀', 2], ['b']],
    'a 😀b': [['a'], [' �'], ['��', 2], ['b']],
    你好: [['�'], ['�'], ['�'], ['�'], ['�'], ['�']],
    é: [['�'], ['�']],
    'a�b': [['a'], ['�'], ['b']],
  };
  const groupsOf = (text: string): unknown => groups(read(bodyOf(...(said[text] ?? [])), text), text);
  assert.deepEqual(groupsOf('a😀b'), [
    ['a', 1],
    ['😀', 3],
    ['b', 1],
  ]);
  assert.deepEqual(groupsOf('a 😀b'), [
    ['a', 1],
    [' 😀', 2],
    ['b', 1],
  ]);
  assert.deepEqual(groupsOf('你好'), [
    ['你', 3],
    ['好', 3],
  ]);
  assert.deepEqual(groupsOf('é'), [['é', 2]]);
  assert.deepEqual(groupsOf('a�b'), [
    ['a', 1],
    ['�', 1],
    ['b', 1],
  ]);
});

test('where halves may be parted in several ways they are one group, of which the worst score counts', () => {
  const scores = read(bodyOf(['�'], ['�'], ['�', 5], ['�'], ['�']), '你你');
  assert.deepEqual(groups(scores, '你你'), [['你你', 5]]);
  assert.ok(scores.kind === 'scored' && scores.tokens[0]?.isBest === false);
});

test('a character in halves is not scored where the score of one of them cannot be read', () => {
  for (const broken of ['log', null, Number.NaN, 0.01]) {
    assert.equal(read(bodyOf(['', 1, broken], ['', 1], ['😀']), '😀').kind, 'unreadable');
  }
});

test('an echo says what its tokens are, and beside each what is as likely', () => {
  const logprobs = {
    tokens: ['<s>', 'Say', ':', 'ab', ' c'],
    token_logprobs: [null, -2, -3, -0.5, -1.5],
    top_logprobs: [null, { x: -1 }, { ':': -3 }, { ab: -0.5, c: -0.5 }, { x: -0.5 }],
  };
  const scores = echo(logprobs, 'Say:ab c', 'ab c', 'Say:');
  assert.ok(scores.kind === 'scored');
  assert.deepEqual(
    scores.tokens.map(({ from, to, isBest }) => [from, to, isBest]),
    [
      [0, 2, true],
      [2, 4, false],
    ],
  );
  const more = (list: readonly unknown[], one: unknown): readonly unknown[] => [...list, one];
  const written = {
    tokens: more(logprobs.tokens, '!'),
    token_logprobs: more(logprobs.token_logprobs, -1),
    top_logprobs: more(logprobs.top_logprobs, { '!': -1 }),
  };
  assert.deepEqual(echo(written, 'Say:ab c!', 'ab c', 'Say:'), scores, 'one token may follow');
  assert.deepEqual(echo(written, 'Say:ab c', 'ab c', 'Say:'), scores, 'and be a mark');
  const spaced = { ...logprobs, tokens: logprobs.tokens.with(1, ' Say') };
  assert.deepEqual(echo(spaced, 'Say:ab c', 'ab c', 'Say:'), scores, 'the first one may have a space before it');
});

test('an echo of something else is none', () => {
  const logprobs = { tokens: ['Say:', 'ab'], token_logprobs: [null, -0.5], top_logprobs: [null, { ab: -0.5 }] };
  const of = (change: object, text = 'Say:ab', draft = 'ab', prompt = 'Say:'): string =>
    echo({ ...logprobs, ...change }, text, draft, prompt).kind;
  assert.equal(of({}), 'scored');
  assert.equal(of({}, 'ab'), 'unreadable');
  assert.equal(of({}, 'Say:ab', ':ab', 'Say'), 'unreadable', 'a token of both');
  assert.equal(of({}, 'Say:ab', 'Say:ab', ''), 'unreadable', 'the first token has no score');
  assert.equal(of({ tokens: ['Say:', 'ac'] }), 'unreadable');
  assert.equal(of({ token_logprobs: [null] }), 'unreadable');
  assert.equal(of({ token_logprobs: [null, 1] }), 'unreadable');
  assert.equal(of({ top_logprobs: null }), 'unreadable');
  assert.equal(of({ top_logprobs: [null, null] }), 'unreadable');
  assert.equal(of({ top_logprobs: [null, {}] }), 'unreadable');
  assert.equal(of({ top_logprobs: [null, { x: 'likely' }] }), 'unreadable');
});

test('whatever a server sends is read or not, and nothing is thrown', () => {
  const value = fc.jsonValue();
  const token = fc.record({
    logprob: value,
    rank: fc.oneof(value, fc.nat(3)),
    decoded_token: fc.oneof(value, fc.string()),
  });
  const entries = fc.array(fc.oneof(value, fc.dictionary(fc.constantFrom('1', '2', 'a'), fc.oneof(value, token))));
  const lists = fc.record({ tokens: entries, token_logprobs: entries, top_logprobs: entries });
  const body = fc.oneof(
    value,
    fc.record({ prompt_logprobs: fc.oneof(value, entries), usage: value }),
    fc.record({ choices: fc.tuple(fc.record({ text: fc.constant('ab'), logprobs: fc.oneof(value, lists) })) }),
  );
  fc.assert(
    fc.property(body, fc.constantFrom('prompt_logprobs', 'echo'), fc.string(), (sent, source, draft) => {
      assert.ok(['scored', 'unreadable'].includes(runAtOnce(readScores(sent, source, draft)).kind));
    }),
  );
});

/** How often work stops to let others have the event loop, and what it comes to. */
function stopsOf(work: ReturnType<typeof readScores>): { readonly stops: number; readonly scores: ReadScores } {
  for (let stops = 0; ; stops += 1) {
    const step = work.next();
    if (step.done === true) return { stops, scores: step.value };
  }
}

test('many tokens are read in slices, and in no more steps than there are tokens', () => {
  const count = 100_000;
  const many = (text: string): object => ({
    prompt_logprobs: [null, ...Array.from({ length: count }, () => entry([text]))],
  });
  const { stops, scores } = stopsOf(readScores(many('a'), 'prompt_logprobs', 'a'.repeat(count)));
  assert.equal(scores.kind === 'scored' && scores.tokens.length, count);
  assert.ok(stops > count / 1024 && stops < (5 * count) / 1024, `${stops} stops`);
  for (const [text, draft] of [
    ['', 'a'.repeat(count)],
    ['�', '你'.repeat(count)],
    ['�', `${'你'.repeat(count)}!`],
    ['�'.repeat(30), '😀'.repeat(count)],
    ['�a', '😀a'.repeat(count)],
    ['a', `b${'a'.repeat(count)}`],
  ] as const) {
    const hostile = stopsOf(readScores(many(text), 'prompt_logprobs', draft));
    assert.equal(hostile.scores.kind, 'unreadable', JSON.stringify(hostile.scores).slice(0, 200));
    // A million places at most, 20,000 in a slice.
    assert.ok(hostile.stops < 400, `${hostile.stops} stops`);
  }
});

test('more tokens than are looked at are not read', () => {
  const count = LIMITS.judgedLogprobs + 1;
  const one = entry(['a']);
  const body = { prompt_logprobs: Array.from({ length: count }, () => one) };
  assert.equal(read(body, 'a'.repeat(count)).kind, 'unreadable');
  assert.equal(read(body, 'a'.repeat(1_000)).kind, 'scored', 'however long the prompt is');
});
