import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runAtOnce } from '../text/slices.ts';
import fc from 'fast-check';
import { readChoice, type Completion } from './completion.ts';

type Entry = { token: string; bytes?: readonly number[] | null; logprob?: unknown };

function bodyOf(content: unknown, entries: readonly Entry[] | null, more: { message?: object; finish?: string } = {}) {
  return {
    id: 'chatcmpl-1',
    model: 'small',
    choices: [
      {
        message: { role: 'assistant', content, ...more.message },
        finish_reason: more.finish ?? 'stop',
        logprobs: entries === null ? null : { content: entries.map((one) => ({ logprob: -0.5, bytes: null, ...one })) },
      },
    ],
  };
}

function read(body: unknown): Completion {
  const completion = runAtOnce(readChoice(body));
  assert.ok(completion, 'is a completion');
  return completion;
}

const tokensOf = (body: unknown) => read(body).tokens?.map((one) => one.token) ?? null;
const logprobsOf = (body: unknown) => read(body).tokens?.map((one) => one.logprob) ?? null;

test('a body without a choice that has a message is no completion', () => {
  const bodies = [null, 'text', 7, [], {}, { choices: null }, { choices: [] }, { choices: [null] }, { choices: [{}] }];
  for (const body of bodies) assert.equal(runAtOnce(readChoice(body)), null);
  assert.equal(runAtOnce(readChoice({ error: { message: 'no' } })), null);
  assert.equal(runAtOnce(readChoice({ choices: [{ error: { code: 502 }, message: { content: 'half' } }] })), null);
});

test('an answer that the server broke off is no completion', () => {
  assert.equal(runAtOnce(readChoice(bodyOf('half an', null, { finish: 'abort' }))), null);
  assert.equal(runAtOnce(readChoice(bodyOf('half an', null, { finish: 'error' }))), null);
});

test('reads what a chat completion says', () => {
  const completion = read({
    ...bodyOf('yes', [{ token: 'yes', logprob: -0.25 }]),
    usage: {
      prompt_tokens: 12,
      completion_tokens: 3,
      prompt_tokens_details: { cached_tokens: 8 },
      completion_tokens_details: { reasoning_tokens: 2 },
    },
  });
  assert.deepEqual(completion, {
    text: 'yes',
    finishReason: 'stop',
    refusal: null,
    toolCall: false,
    tokens: [{ token: 'yes', bytes: null, logprob: -0.25, top: [] }],
    choices: 1,
    model: 'small',
    id: 'chatcmpl-1',
    usage: { inputTokens: 12, cachedTokens: 8, outputTokens: 3, reasoningTokens: 2 },
  });
});

test('usage that is no count is none', () => {
  const usage = { prompt_tokens: '12', completion_tokens: -3, prompt_tokens_details: null };
  assert.deepEqual(read({ ...bodyOf('a', null), usage }).usage, {
    inputTokens: 0,
    cachedTokens: 0,
    outputTokens: 0,
    reasoningTokens: 0,
  });
});

test('log-probs that are missing, null or empty are no tokens', () => {
  for (const logprobs of [
    undefined,
    null,
    {},
    [],
    'x',
    { content: null },
    { content: [] },
    { tokens: [], token_logprobs: [] },
  ]) {
    const body = { choices: [{ message: { content: 'yes' }, finish_reason: 'stop', logprobs }] };
    assert.equal(read(body).tokens, null);
  }
});

test('reads the parallel arrays of the older shape', () => {
  const body = {
    choices: [
      {
        text: 'yes sir',
        finish_reason: 'stop',
        logprobs: { tokens: ['yes', ' sir'], token_logprobs: [-0.5, -1], top_logprobs: [{ yes: -0.5, no: -2 }, null] },
      },
    ],
  };
  assert.deepEqual(read(body).tokens, [
    {
      token: 'yes',
      bytes: null,
      logprob: -0.5,
      top: [
        { token: 'yes', logprob: -0.5 },
        { token: 'no', logprob: -2 },
      ],
    },
    { token: ' sir', bytes: null, logprob: -1, top: [] },
  ]);
});

test('numbers may be strings, null, infinite, huge or rubbish, and rubbish is never sure', () => {
  const given = ['-0.5', null, '-inf', '-Infinity', -9999, -100, Number.NaN, 'nan', 3, -1e300, 1e-6, true];
  const entries = given.map((logprob) => ({ token: 'a', logprob }));
  const values = logprobsOf(bodyOf('a'.repeat(given.length), entries));
  assert.deepEqual(values, [-0.5, -9999, -9999, -9999, -9999, -100, -9999, -9999, -9999, -9999, 0, -9999]);
});

test('log-probs of which none is a number are no tokens', () => {
  assert.equal(
    tokensOf(
      bodyOf('ab', [
        { token: 'a', logprob: null },
        { token: 'b', logprob: 'n/a' },
      ]),
    ),
    null,
  );
});

test('an entry without a token makes all of them unusable', () => {
  const body = { choices: [{ message: { content: 'ab' }, logprobs: { content: [{ token: 'a', logprob: 0 }, null] } }] };
  assert.equal(read(body).tokens, null);
});

test("llama.cpp's empty end token is not scored", () => {
  assert.deepEqual(tokensOf(bodyOf('yes', [{ token: 'yes' }, { token: '', logprob: -3 }])), ['yes']);
  assert.equal(tokensOf(bodyOf('yes', [{ token: '', bytes: [] }])), null);
});

test('tokens without characters before others begin a character, and are scored with it', () => {
  // vLLM says a character with its last token; nothing but its log-probs says how sure the others were.
  const entriesOf = (...all: readonly (readonly [string, number])[]) =>
    all.map(([token, logprob]) => ({ token, logprob, bytes: [...Buffer.from(token)] }));
  const emoji = [
    ['', -3],
    ['', -2],
    ['😀', -0.01],
  ] as const;
  const ended = [...emoji, ['', -0.1]] as const;
  assert.deepEqual(logprobsOf(bodyOf('Hi 😀', entriesOf(['Hi', -1], [' ', -1], ...ended))), [-1, -1, -3, -2, -0.01]);
  assert.deepEqual(logprobsOf(bodyOf('😀', entriesOf(...ended))), [-3, -2, -0.01]);
  const thought = entriesOf(['<think>', -1], ['hm', -1], ['</think>', -1], ['\n\n', -1], ...ended);
  assert.deepEqual(logprobsOf(bodyOf('😀', thought)), [-3, -2, -0.01]);
  assert.deepEqual(logprobsOf(bodyOf('<think>hm</think>\n\n😀', thought)), [-3, -2, -0.01]);
  const marked = entriesOf(['Hi', -1], ...emoji, ['<|im_end|>', -1], ['', -9]);
  assert.deepEqual(logprobsOf(bodyOf('Hi😀', marked)), [-1, -3, -2, -0.01]);
});

test('end marks and reasoning are not scored', () => {
  const marks = ['yes', ' sir', '<|im_end|>'].map((token) => ({ token }));
  assert.deepEqual(tokensOf(bodyOf('yes sir', marks)), ['yes', ' sir']);
  const thoughts = ['<think>', 'is', ' it', ' yes', '?', '</think>', '\n\n', 'yes', '</s>'].map((token) => ({ token }));
  assert.deepEqual(tokensOf(bodyOf('yes', thoughts)), ['yes']);
  assert.equal(read(bodyOf('yes', thoughts)).tokens?.length, 1);
});

test('the answer is found although it stands in the reasoning and inside other tokens too', () => {
  const entries = ['4', '2', ' no', ' 142', '</think>', ' 42', '.'].map((token, at) => ({ token, logprob: -at }));
  assert.deepEqual(logprobsOf(bodyOf('42.', entries)), [-5, -6]);
});

test('a stop string may cut the last token', () => {
  assert.deepEqual(tokensOf(bodyOf('yes', [{ token: 'thought' }, { token: ' ye' }, { token: 'sEND' }])), [
    ' ye',
    'sEND',
  ]);
});

test('characters may be split over tokens', () => {
  const [first = 0, second = 0, third = 0] = Buffer.from('€');
  const entries = [
    { token: 'hm', bytes: [104, 109] },
    { token: '\\xe2\\x82', bytes: [first, second] },
    { token: '\\xac', bytes: [third] },
  ];
  assert.deepEqual(tokensOf(bodyOf('€', entries)), ['\\xe2\\x82', '\\xac']);
});

test('tokens that cannot be laid over the text count all if they are as many as the server says, and nothing was thought', () => {
  const entries = [{ token: 'token_id:17' }, { token: 'token_id:4' }];
  const counted = (completion_tokens: number, more: object = {}) => ({
    ...bodyOf('yes sir', entries),
    usage: { completion_tokens, ...more },
  });
  for (const count of [2, 3]) assert.equal(tokensOf(counted(count))?.length, 2, `${count}`);
  const many = {
    ...bodyOf(
      'yes sir',
      Array.from({ length: 18 }, (_, at) => ({ token: `token_id:${at}` })),
    ),
  };
  assert.equal(tokensOf({ ...many, usage: { completion_tokens: 20 } })?.length, 18, 'a stop string is counted, too');
  assert.equal(tokensOf({ ...many, usage: { completion_tokens: 21 } }), null);
  for (const count of [0, 4, 5, 40]) {
    assert.equal(tokensOf(counted(count)), null, `${count}`);
    assert.equal(read(counted(count)).isPartial, true);
  }
  assert.equal(tokensOf(bodyOf('yes sir', entries)), null, 'nobody says how many there are');
  assert.equal(tokensOf(counted(6, { completion_tokens_details: { reasoning_tokens: 4 } })), null);
  const thought = bodyOf('yes sir', entries, { message: { reasoning_content: 'hm' } });
  assert.equal(tokensOf({ ...thought, usage: { completion_tokens: 2 } }), null);
  const marked = bodyOf('yes sir', [{ token: '</think>' }, ...entries]);
  assert.equal(tokensOf({ ...marked, usage: { completion_tokens: 3 } }), null);
});

test('sees tool calls, refusals and lists of parts', () => {
  assert.equal(read(bodyOf(null, null, { message: { tool_calls: [{}] } })).toolCall, true);
  assert.equal(read(bodyOf(null, null, { message: { function_call: {} } })).toolCall, true);
  assert.equal(read(bodyOf(null, null, { finish: 'tool_calls' })).toolCall, true);
  assert.equal(read(bodyOf('yes', null, { message: { tool_calls: [] } })).toolCall, false);
  assert.equal(read(bodyOf(null, null, { message: { refusal: 'I cannot' } })).refusal, 'I cannot');
  assert.equal(
    read(
      bodyOf(
        [
          { type: 'text', text: 'a' },
          { type: 'text', text: 'b' },
        ],
        null,
      ),
    ).text,
    'ab',
  );
});

test('whatever comes is read or refused, never thrown at', () => {
  const message = fc.record(
    { content: fc.jsonValue(), refusal: fc.jsonValue(), tool_calls: fc.jsonValue() },
    { requiredKeys: [] },
  );
  const entry = fc.record(
    {
      token: fc.oneof(fc.string(), fc.jsonValue()),
      logprob: fc.jsonValue(),
      bytes: fc.jsonValue(),
      top_logprobs: fc.jsonValue(),
    },
    { requiredKeys: [] },
  );
  const logprobs = fc.oneof(
    fc.jsonValue(),
    fc.record({ content: fc.array(entry) }),
    fc.record({
      tokens: fc.array(fc.string()),
      token_logprobs: fc.array(fc.jsonValue()),
      top_logprobs: fc.jsonValue(),
    }),
  );
  const choice = fc.record({ message, logprobs, finish_reason: fc.jsonValue() }, { requiredKeys: [] });
  const body = fc.oneof(fc.anything(), fc.record({ choices: fc.array(choice), usage: fc.jsonValue() }));
  fc.assert(
    fc.property(body, (any) => {
      const completion = runAtOnce(readChoice(any));
      for (const one of completion?.tokens ?? []) assert.ok(one.logprob <= 0 && one.logprob >= -9999);
      for (const count of Object.values(completion?.usage ?? {})) assert.ok(Number.isSafeInteger(count) && count >= 0);
    }),
  );
});

test('whatever stands before and after an answer, its own tokens are scored', () => {
  const word = fc.stringMatching(/^[a-z€ß]{1,4}$/);
  fc.assert(
    fc.property(fc.array(word), fc.array(word, { minLength: 1 }), (thoughts, answer) => {
      const spaced = (words: readonly string[]) => words.map((one) => ` ${one}`);
      const tokens = [...spaced(thoughts), '</think>', '\n\n', ...spaced(answer), '<|end|>'];
      const entries = tokens.map((token, at) => ({ token, logprob: -at }));
      const first = thoughts.length + 2;
      assert.deepEqual(
        logprobsOf(bodyOf(answer.join(' '), entries)),
        answer.map((_, at) => -(first + at)),
      );
    }),
  );
});
