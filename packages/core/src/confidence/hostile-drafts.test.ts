import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_SLICE_CPU_MS, measureSlices } from '../../../../test/support/slices.ts';
import { LIMITS } from '../limits.ts';
import type { Completion } from '../endpoints/completion.ts';
import { evidenceOf, judge, type SignalSpec } from './index.ts';

/** Drafts that are made to be expensive, by how long they are to be. */
const HOSTILE: Readonly<Record<string, (size: number) => string>> = {
  'nested arrays': (size) => '['.repeat(size / 2) + ']'.repeat(size / 2),
  'nested arrays with scalars': (size) => '[1,'.repeat(size / 6) + '1' + ',1]'.repeat(size / 6),
  'nested objects': (size) => '{"a":1,"b":'.repeat(size / 12) + '1' + '}'.repeat(size / 12),
  'nested as deep as allowed, and wide there': (size) =>
    `${'{"a":'.repeat(100)}[${'1,'.repeat(size / 2)}1]${'}'.repeat(100)}`,
  'brackets that never end': (size) => '[{"a":'.repeat(size / 6),
  'many scalars': (size) => `[${'1,'.repeat(size / 2)}1]`,
  'many objects': (size) => `[${'{},'.repeat(size / 3)}{}]`,
  'many names': (size) => `{${Array.from({ length: size / 12 }, (_, at) => `"k${at}":1`).join(',')}}`,
  'the same name': (size) => `{${'"k":1,'.repeat(size / 6)}"k":1}`,
  'a long name over many values': (size) => `{"${'n'.repeat(size / 2)}":[${'1,'.repeat(size / 4)}1]}`,
  'a long string': (size) => `{"a":"${'x'.repeat(size)}"}`,
  escapes: (size) => `{"a":"${String.raw`\u0041`.repeat(size / 6)}"}`,
  backslashes: (size) => `{"a":"${'\\'.repeat(size)}"}`,
  dots: (size) => '.'.repeat(size),
  'dots between letters': (size) => `a${'.'.repeat(size)}a`,
  blanks: (size) => `a${' '.repeat(size)}a`,
  'marks above and below a letter': (size) => `a${'\u0301\u0323'.repeat(size / 2)}`,
  quotes: (size) => `"${'"\''.repeat(size / 2)}x`,
};

/** The same text as the tokens that a server might list of it. */
const LISTED: Readonly<Record<string, (text: string) => readonly string[]>> = {
  'one token': (text) => [text],
  'a token each four characters': (text) => text.match(/[^]{1,4}/g) ?? [],
  'thousands of empty tokens before one': (text) => [...Array.from({ length: 20_000 }, () => ''), text],
};

const draftOf = (text: string, pieces: readonly string[]): Completion => ({
  text,
  finishReason: 'stop',
  refusal: null,
  toolCall: false,
  tokens: pieces.map((token) => ({ token, bytes: null, logprob: -0.1, top: [{ token, logprob: -0.1 }] })),
  choices: 1,
  model: null,
  id: null,
  usage: { inputTokens: 0, cachedTokens: 0, outputTokens: 0, reasoningTokens: 0 },
});

const SIGNALS: readonly SignalSpec[] = [
  { name: 'sum_logprob' },
  { name: 'entropy' },
  { name: 'label', answers: ['yes', 'no', '.5', '{'] },
];

for (const [what, make] of Object.entries(HOSTILE)) {
  test(`judging holds nobody up: ${what}`, () => {
    for (const size of [20_000, 80_000, 1_200_000]) {
      const text = make(size);
      for (const [how, list] of Object.entries(LISTED)) {
        if (size > 80_000 && how !== 'one token') continue;
        const completion = draftOf(text, list(text));
        const evidence = { completion, endpoint: '/v1/chat/completions', request: {} } as const;
        const samples = [draftOf(`${text}1`, []), completion];
        const all = [
          ...SIGNALS.map((signal) => judge(evidence, { signal, calibration: null })),
          judge(
            { ...evidence, samples },
            { signal: { name: 'agreement', samples: 3, temperature: 1 }, calibration: null },
          ),
          judge(
            { ...evidence, request: { response_format: { type: 'json_object' } } },
            { signal: { name: 'sum_logprob' }, calibration: null },
          ),
          evidenceOf(evidence),
        ];
        for (const work of all) {
          const { longestCpuMs } = measureSlices<unknown>(work);
          assert.ok(longestCpuMs < MAX_SLICE_CPU_MS, `${size} characters, ${how}: ${Math.round(longestCpuMs)} ms`);
        }
      }
    }
  });
}

test('what is too deep, too wide or too long cannot be judged, by whichever signal', () => {
  const judged = (text: string, signal: SignalSpec = { name: 'sum_logprob' }) =>
    measureSlices(
      judge(
        { completion: draftOf(text, [text]), endpoint: '/v1/chat/completions', request: {} },
        { signal, calibration: null },
      ),
    ).result;
  const tooLarge = { kind: 'no_evidence', reason: 'too_large' };
  const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);
  const wide = (values: number): string => `[${'1,'.repeat(values - 2)}1]`;
  for (const text of [
    nested(LIMITS.jsonDepth + 1),
    wide(LIMITS.jsonValues + 1),
    'x'.repeat(LIMITS.judgedCharacters + 1),
  ]) {
    for (const signal of SIGNALS) assert.deepEqual(judged(text, signal), tooLarge);
  }
  for (const text of [nested(LIMITS.jsonDepth), wide(LIMITS.jsonValues), 'x'.repeat(LIMITS.judgedCharacters)]) {
    assert.equal(judged(text).kind, 'scored');
  }
});
