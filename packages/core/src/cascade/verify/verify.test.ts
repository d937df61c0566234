import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  ReferenceExpert,
  tokenise,
  type Entry,
  type ServerManner,
} from '../../../../../test/support/reference-expert.ts';
import type { AskedFormat } from '../../endpoints/index.ts';
import { runAtOnce } from '../../text/slices.ts';
import { joinAnswer, keptPrefix, readScores, type KeepRule, type ReadScores } from './index.ts';

/** Pieces of answers: words, blanks, characters whose bytes are tokens by themselves, and JSON. */
const PIECES = [
  'the',
  ' the',
  ' ',
  '\n',
  '  ',
  'ab',
  ' a',
  'é',
  '😀',
  ' 😀',
  '你',
  '你好',
  '�',
  '1',
  '12',
  '{"',
  '": ',
  '",',
];
const textOf = (size: 'small' | 'max'): fc.Arbitrary<string> =>
  fc.array(fc.constantFrom(...PIECES), { minLength: 1, maxLength: 30, size }).map((pieces) => pieces.join(''));
const text = textOf('max');
const short = textOf('small');
const json = fc
  .tuple(fc.dictionary(fc.constantFrom('a', 'total', 'é'), fc.oneof(short, fc.nat(200), fc.array(short))), fc.nat(2))
  .map(([value, spaces]) => JSON.stringify(value, null, spaces));

/** An expert with an answer of which one token need not be the one that its tokeniser would make. */
const expertOf = (answer: fc.Arbitrary<string>): fc.Arbitrary<ReferenceExpert> =>
  fc.tuple(answer, fc.nat(40)).map(([said, single]) => new ReferenceExpert(tokenise(said, (at) => at === single)));

/** A draft that another model wrote: a beginning of the expert's answer, and then what it pleases. */
const draftOf = ({ answer }: ReferenceExpert, share: number, rest: string): string => {
  const characters = Array.from(answer);
  return characters.slice(0, Math.round(share * characters.length)).join('') + rest;
};

const share = fc.oneof({ weight: 3, arbitrary: fc.double({ min: 0, max: 1, noNaN: true }) }, fc.constant(1));
const rest = fc.oneof(fc.constant(''), fc.constantFrom(' ', '\n\n', '1}', ' the'), short);
const manner: fc.Arbitrary<ServerManner> = fc.record({
  shown: fc.constantFrom('alone', 'late'),
  alternatives: fc.constantFrom(0, 1),
  trims: fc.boolean(),
});
const format = fc.constantFrom<AskedFormat | null>(
  null,
  { type: 'json_object', schema: undefined },
  { type: 'json_schema', schema: { type: 'object', properties: { total: { type: ['integer', 'string', 'array'] } } } },
);

const EXACT: KeepRule = { exact: true };
const read = (body: unknown, draft: string): ReadScores => runAtOnce(readScores(body, 'prompt_logprobs', draft));

type Answered = { readonly kind: 'joined'; readonly text: string; readonly kept: string } | { readonly kind: 'asked' };
const ASKED: Answered = { kind: 'asked' };

/** What becomes of a draft: an answer that is joined, or none, so that the expert is asked for the whole. */
function verify(
  draft: string,
  body: unknown,
  continues: (kept: string) => string,
  asked: AskedFormat | null,
  rule: KeepRule = EXACT,
): Answered {
  const scores = read(body, draft);
  if (scores.kind === 'unreadable') return ASKED;
  const kept = keptPrefix(draft, scores.tokens, rule).text;
  const joined = runAtOnce(joinAnswer({ kept, continuation: continues(kept), format: asked, stop: [] }));
  return joined.kind === 'joined' ? { kind: 'joined', text: joined.text, kept } : ASKED;
}

/** What the text alone cannot tell: a plain answer that says its whole beginning twice. */
const saysTwice = (answer: string, kept: string): boolean => answer.startsWith(kept + kept.trimStart());

for (const [name, answers, asked] of [
  ['JSON', json, format],
  ['plain text', text, fc.constant(null)],
] as const) {
  test(`a joined answer is the expert's own greedy answer: ${name}`, () => {
    let joined = 0;
    fc.assert(
      fc.property(
        expertOf(answers),
        share,
        rest,
        manner,
        asked,
        fc.boolean(),
        (expert, part, tail, server, wanted, isWhole) => {
          const draft = draftOf(expert, part, tail);
          const continues = (kept: string): string =>
            (isWhole ? kept : '') + expert.continuation(server.trims ? kept.trimEnd() : kept);
          const answered = verify(draft, expert.scores(draft, server), continues, wanted);
          if (answered.kind === 'asked') return;
          joined += 1;
          if (name === 'plain text' && saysTwice(expert.answer, answered.kept)) return;
          assert.equal(answered.text, expert.answer);
        },
      ),
      { numRuns: 1_000 },
    );
    assert.ok(joined > 50, `${joined} of 1000 were joined`);
  });
}

test('of an answer with a JSON format whatever the expert keeps is joined', () => {
  fc.assert(
    fc.property(expertOf(json), share, rest, manner, (expert, part, tail, server) => {
      const draft = draftOf(expert, part, tail);
      const scores = read(expert.scores(draft, server), draft);
      if (!/^\S/.test(draft)) return;
      assert.equal(scores.kind, 'scored');
      const answered = verify(draft, expert.scores(draft, server), (kept) => expert.continuation(kept), {
        type: 'json_object',
        schema: undefined,
      });
      const first = expert.scores(draft, server).prompt_logprobs[8];
      const isKept = Object.values(first ?? {})[0]?.rank === 1 && draft.startsWith('{');
      if (isKept && scores.kind === 'scored' && scores.tokens[0]?.isBest === true)
        assert.equal(answered.kind, 'joined');
    }),
  );
});

test('scores are those of the tokens that a draft has, and groups are whole characters', () => {
  fc.assert(
    fc.property(expertOf(text), share, rest, manner, (expert, part, tail, server) => {
      const draft = draftOf(expert, part, tail);
      fc.pre(/^\S/.test(draft));
      const scored = server.trims ? draft.trimEnd() : draft;
      const scores = read(expert.scores(draft, server), draft);
      assert.equal(scores.kind, 'scored');
      if (scores.kind !== 'scored') return;
      assert.equal(scores.tokens.map(({ from, to }) => draft.slice(from, to)).join(''), scored);
      assert.ok(scores.tokens.every(({ from, to }) => to > from && draft.slice(from, to).isWellFormed()));
      assert.equal(
        scores.tokens.reduce((sum, { tokens }) => sum + tokens, 0),
        tokenise(scored).length,
      );
    }),
  );
});

test('an echo is read as the scores of a prompt are, unless a token is of prompt and draft', () => {
  let scored = 0;
  fc.assert(
    fc.property(expertOf(text), share, rest, fc.constantFrom('', 'Say:', 'é\n', 'to'), (expert, part, tail, prompt) => {
      const draft = draftOf(expert, part, tail);
      fc.pre(/^\S/.test(draft));
      const echoed = runAtOnce(readScores(expert.echo(prompt, draft), 'echo', draft, prompt));
      if (echoed.kind === 'unreadable') {
        assert.match(echoed.why, /of the prompt and of the draft/);
        return;
      }
      scored += 1;
      const asked = read(expert.scores(draft, { shown: 'late', alternatives: 1, trims: false }), draft);
      assert.deepEqual(asked.kind === 'scored' && asked.tokens, echoed.tokens);
    }),
  );
  assert.ok(scored > 20);
});

/** What servers do to the list of a prompt's scores; `at` is a place among the draft's. */
const BROKEN: Readonly<Record<string, (entries: readonly (Entry | null)[], at: number) => readonly unknown[]>> = {
  'one entry is dropped': (entries, at) => entries.toSpliced(at, 1),
  'one entry is null': (entries, at) => entries.with(at, null),
  'entries stand one place later': (entries) => [null, ...entries],
  'the first ones are dropped': (entries) => entries.slice(3),
  'all are null': (entries) => entries.map(() => null),
  'a log-prob is NaN': (entries, at) => broken(entries, at, { logprob: Number.NaN }),
  'a log-prob is null': (entries, at) => broken(entries, at, { logprob: null }),
  'a log-prob is positive': (entries, at) => broken(entries, at, { logprob: 0.5 }),
  'a log-prob is no number': (entries, at) => broken(entries, at, { logprob: 'likely' }),
  'a rank is 0': (entries, at) => broken(entries, at, { rank: 0 }),
  'a rank is no integer': (entries, at) => broken(entries, at, { rank: 1.5 }),
  'a rank is a string': (entries, at) => broken(entries, at, { rank: '1' }),
  'another text': (entries, at) => broken(entries, at, { decoded_token: 'Xyz' }),
  'no text': (entries, at) => broken(entries, at, { decoded_token: null }),
  'an entry without tokens': (entries, at) => entries.with(at, {}),
};

const broken = (entries: readonly (Entry | null)[], at: number, fields: object): readonly unknown[] =>
  entries.with(
    at,
    Object.fromEntries(Object.entries(entries[at] ?? {}).map(([id, one]) => [id, { ...one, ...fields }])),
  );

for (const [name, change] of Object.entries(BROKEN)) {
  test(`scores that do not fit are not read: ${name}`, () => {
    fc.assert(
      fc.property(
        expertOf(text),
        share,
        rest,
        manner,
        fc.nat(),
        fc.boolean(),
        (expert, part, tail, server, nth, counts) => {
          const draft = draftOf(expert, part, tail);
          fc.pre(/^\S/.test(draft));
          const body = expert.scores(draft, server);
          const tokens = tokenise(server.trims ? draft.trimEnd() : draft).length;
          const entries = body.prompt_logprobs;
          const changed = change(entries, entries.length - tokens + (nth % tokens));
          // A server that counts otherwise is seen by its count alone.
          const usage = counts ? body.usage : {};
          const scores = read({ ...body, usage, prompt_logprobs: changed }, draft);
          if (scores.kind === 'unreadable') {
            assert.notEqual(scores.why, '');
            return;
          }
          // Entries more or less before the draft do no harm; and what is left of a character may be all of it.
          const isElsewhere = !counts && /later|first ones/.test(name);
          const isHalf =
            /dropped|another text/.test(name) && /[^\0-\x7f]/.test(draft) && !(counts && /dropped/.test(name));
          const isTrimmed = !counts && name.includes('dropped') && draft.trimEnd() !== draft;
          assert.ok(isElsewhere || isTrimmed || isHalf, JSON.stringify(scores));
          assert.ok(draft.startsWith(scores.tokens.map(({ from, to }) => draft.slice(from, to)).join('')));
        },
      ),
    );
  });
}

/** What servers say instead of going on. */
const HOSTILE: Readonly<Record<string, (expert: ReferenceExpert, kept: string, other: string) => string>> = {
  'begins anew': ({ answer }) => answer,
  'begins anew, behind white space': ({ answer }) => `\n${answer}`,
  'answers something else': (_, __, other) => other,
  'answers something else in a block': (_, __, other) => `\`\`\`json\n${other}\n\`\`\``,
  'answers something else up to its limit': (_, __, other) => other.slice(0, Math.ceil(other.length / 2)),
  'adds a BOS': (expert, kept) => `<s>${expert.continuation(kept)}`,
  'adds a header': (expert, kept) => `<|start_header_id|>assistant ${expert.continuation(kept)}`,
  'refuses in words': () => 'I am sorry, but as a model I cannot go on with that.',
};

for (const [name, says] of Object.entries(HOSTILE)) {
  test(`no JSON is joined of what is not its continuation, in the middle of it: ${name}`, () => {
    fc.assert(
      fc.property(expertOf(json), json, share, rest, manner, format, (expert, other, part, tail, server, wanted) => {
        const draft = draftOf(expert, part, tail);
        const body = expert.scores(draft, server);
        const answered = verify(draft, body, (kept) => says(expert, kept, other), wanted);
        if (answered.kind === 'joined') assert.ok([expert.answer, `\n${expert.answer}`, other].includes(answered.text));
        // Another answer is joined only where it begins with what was kept, and then it is a whole one.
        if (answered.kind === 'joined' && answered.text === other) assert.ok(other.startsWith(answered.kept));
      }),
      { numRuns: 300 },
    );
  });
}

test('in plain text a server that begins anew is believed only where it says the kept text', () => {
  fc.assert(
    fc.property(expertOf(text), share, rest, manner, (expert, part, tail, server) => {
      const draft = draftOf(expert, part, tail);
      const answered = verify(draft, expert.scores(draft, server), () => expert.answer, null);
      if (answered.kind === 'joined') assert.equal(answered.text, expert.answer);
    }),
  );
});

test('with a tolerance the joined answer is what the expert goes on with behind the kept text', () => {
  fc.assert(
    fc.property(
      expertOf(json),
      share,
      rest,
      manner,
      fc.double({ min: 0, max: 1, noNaN: true }),
      (expert, part, tail, server, tolerance) => {
        const draft = draftOf(expert, part, tail);
        const body = expert.scores(draft, { ...server, alternatives: 1 });
        const answered = verify(draft, body, (kept) => expert.continuation(kept), null, { tolerance });
        if (answered.kind === 'asked') return;
        assert.equal(answered.text, answered.kept + expert.continuation(answered.kept));
        assert.ok(draft.startsWith(answered.kept));
      },
    ),
  );
});
