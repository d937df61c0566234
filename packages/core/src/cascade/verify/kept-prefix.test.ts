import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { cutToLimit, keptPrefix, leftTokens, type KeptPrefix, type ScoredToken } from './index.ts';

/** Tokens of these texts, each with how likely it is against the likeliest. */
function tokensOf(...given: readonly (readonly [text: string, ratio?: number, tokens?: number])[]): ScoredToken[] {
  let at = 0;
  return given.map(([text, ratio = 1, tokens = 1]) => {
    const from = at;
    at += text.length;
    return { from, to: at, tokens, isBest: ratio === 1, ratio, logprob: Math.log(ratio) };
  });
}

const exact = (draft: string, tokens: readonly ScoredToken[]): KeptPrefix => keptPrefix(draft, tokens, { exact: true });

test('what stands before the first token that the expert would not have chosen', () => {
  assert.deepEqual(exact('one two three', tokensOf(['one'], [' two'], [' three', 0.9])), {
    text: 'one two',
    characters: 7,
    tokens: 2,
    isWhole: false,
    draftTokens: 3,
  });
  assert.equal(exact('ab', tokensOf(['a', 0.5], ['b'])).text, '');
  assert.equal(keptPrefix('ab', [], { exact: true }).isWhole, false);
});

test('with a tolerance a token stands that is nearly as likely as the likeliest', () => {
  const tokens = tokensOf(['a', 0.9], ['b', 0.8], ['c', 0.79]);
  assert.equal(keptPrefix('abc', tokens, { tolerance: 0.2 }).text, 'ab');
  assert.equal(keptPrefix('abc', tokens, { tolerance: 0 }).text, '');
  assert.equal(keptPrefix('abc', tokens, { tolerance: 1 }).text, 'abc');
});

test('a prefix does not end in white space; a whole draft ends as it was scored', () => {
  assert.equal(exact('ab \n\ncd', tokensOf(['ab'], [' '], ['\n\n'], ['cd', 0.1])).text, 'ab');
  assert.equal(exact('  cd', tokensOf(['  '], ['cd', 0.1])).text, '');
  const whole = exact('ab \n', tokensOf(['ab'], [' \n']));
  assert.deepEqual([whole.text, whole.isWhole, whole.tokens], ['ab \n', true, 2]);
  const trimmed = exact('ab \n', tokensOf(['ab']));
  assert.deepEqual([trimmed.text, trimmed.isWhole, trimmed.draftTokens], ['ab', true, 1]);
});

test('a surrogate pair is not halved, whatever the tokens say', () => {
  assert.equal(exact('a😀b', tokensOf(['a'], ['\ud83d'], ['\ude00', 0.1], ['b'])).text, 'a');
});

const drafts = fc.array(
  fc.tuple(
    fc.constantFrom('a', ' b', '\n', ' ', '😀', 'cd '),
    fc.double({ min: 0, max: 1, noNaN: true }),
    fc.integer({ min: 1, max: 4 }),
  ),
  { minLength: 1 },
);

test('a prefix is of tokens that stand, as long as may be, and grows with the tolerance', () => {
  fc.assert(
    fc.property(
      drafts,
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (given, left, right) => {
        const draft = given.map(([text]) => text).join('');
        const tokens = tokensOf(...given);
        const [less, more] = [Math.min(left, right), Math.max(left, right)];
        const kept = keptPrefix(draft, tokens, { tolerance: less });
        assert.ok(draft.startsWith(kept.text) && kept.text.length === kept.characters);
        const own = tokens.filter(({ to }) => to <= kept.characters);
        assert.ok(own.every(({ ratio }) => ratio >= 1 - less));
        assert.equal(
          own.reduce((sum, one) => sum + one.tokens, 0),
          kept.tokens,
        );
        assert.equal(
          kept.isWhole,
          tokens.every(({ ratio }) => ratio >= 1 - less),
        );
        if (!kept.isWhole) assert.equal(kept.text, kept.text.trimEnd());
        // Whatever of the tokens that stand is left out is white space, but for the surrogates that these drafts have whole.
        const refused = tokens.find(({ ratio }) => ratio < 1 - less);
        if (refused !== undefined) {
          const rest = draft.slice(kept.characters, refused.from);
          assert.ok(rest === '' || rest.endsWith(' ') || rest.endsWith('\n'));
        }
        const wider = keptPrefix(draft, tokens, { tolerance: more });
        assert.ok(wider.characters >= kept.characters && exact(draft, tokens).characters <= kept.characters);
      },
    ),
  );
});

test('what is kept and what is left come to the limit; a draft that uses it up is cut there', () => {
  fc.assert(
    fc.property(drafts, fc.nat(30), (given, limit) => {
      const draft = given.map(([text]) => text).join('');
      const tokens = tokensOf(...given);
      const kept = exact(draft, tokens);
      const cut = cutToLimit(draft, tokens, kept, limit);
      if (cut === null) assert.equal(kept.tokens + (leftTokens(limit, kept.tokens) ?? 0), limit);
      else {
        assert.equal(leftTokens(limit, kept.tokens), 0);
        assert.ok(kept.text.startsWith(cut.text) && cut.tokens <= limit && cut.tokens > limit - 4);
      }
    }),
  );
  assert.equal(leftTokens(null, 5), null);
  assert.equal(cutToLimit('ab', tokensOf(['ab']), exact('ab', tokensOf(['ab'])), null), null);
});

test('a character of which only some tokens are within the limit is left out', () => {
  const tokens = tokensOf(['ab'], ['😀', 1, 3], ['c']);
  const kept = exact('ab😀c', tokens);
  assert.deepEqual(cutToLimit('ab😀c', tokens, kept, 3), { text: 'ab', tokens: 1 });
  assert.deepEqual(cutToLimit('ab😀c', tokens, kept, 4), { text: 'ab😀', tokens: 4 });
  assert.deepEqual(cutToLimit('ab😀c', tokens, kept, 5), { text: 'ab😀c', tokens: 5 });
  assert.equal(cutToLimit('ab😀c', tokens, kept, 6), null);
});
