import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runAtOnce } from '../text/slices.ts';
import { scoreDraft, type EscalationReason } from '../confidence/index.ts';
import type { Json, JsonObject } from '../text/json.ts';
import { ENDPOINTS, ENDPOINT_URLS, type Completion, type EndpointUrl } from './index.ts';

const WORDS = [
  'the',
  ' total',
  ' of',
  ' the',
  ' invoice',
  ' is',
  ' 12.50',
  ' euros',
  ' and',
  ' it',
  ' is',
  ' due',
  ' soon',
];
const TEXT = WORDS.join('');
const LOGPROBS = 'message.output_text.logprobs';

type Entry = { token: string; logprob: number; bytes: number[]; top_logprobs: { token: string; logprob: number }[] };
type Said = {
  text?: string;
  logprobs?: readonly Entry[] | null;
  finish?: string | null;
  usage?: number;
  more?: JsonObject;
  choice?: JsonObject;
};

const entry = (token: string, logprob = -0.1, hasTop = true): Entry => ({
  token,
  logprob,
  bytes: [...Buffer.from(token)],
  top_logprobs: hasTop ? [{ token, logprob }] : [],
});

/** An answer in the shape of each endpoint; without log-probs given, one for each word. */
const BODIES: Readonly<Record<EndpointUrl, (said: Said) => JsonObject>> = {
  '/v1/chat/completions': (said) => ({
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content: said.text ?? TEXT },
        logprobs: logprobsOf(said) === null ? null : { content: logprobsOf(said) as unknown as Json },
        ...(said.finish === undefined ? { finish_reason: 'stop' } : { finish_reason: said.finish }),
        ...said.choice,
      },
    ],
    usage: { prompt_tokens: 5, completion_tokens: said.usage ?? 13 },
    ...said.more,
  }),
  '/v1/completions': (said) => {
    const listed = logprobsOf(said);
    const logprobs = listed && {
      tokens: listed.map(({ token }) => token),
      token_logprobs: listed.map(({ logprob }) => logprob),
      top_logprobs: listed.map(({ top_logprobs: top }) =>
        Object.fromEntries(top.map(({ token, logprob }) => [token, logprob])),
      ),
    };
    return {
      choices: [{ index: 0, text: said.text ?? TEXT, logprobs, finish_reason: said.finish ?? 'stop', ...said.choice }],
      usage: { prompt_tokens: 5, completion_tokens: said.usage ?? 13 },
      ...said.more,
    };
  },
  '/v1/responses': (said) => ({
    id: 'resp_1',
    status: said.finish === undefined || said.finish === 'stop' ? 'completed' : 'incomplete',
    incomplete_details: said.finish === undefined || said.finish === 'stop' ? null : { reason: said.finish },
    error: null,
    output: [
      {
        type: 'message',
        id: 'msg_1',
        status: 'completed',
        content: [
          { type: 'output_text', text: said.text ?? TEXT, logprobs: (logprobsOf(said) ?? []) as unknown as Json },
        ],
      },
    ],
    usage: { input_tokens: 5, output_tokens: said.usage ?? 13 },
    ...said.more,
  }),
};

const logprobsOf = ({ text = TEXT, logprobs }: Said): readonly Entry[] | null =>
  logprobs === undefined ? (text.match(/\s*\S+/g) ?? []).map((token) => entry(token)) : logprobs;

const read = (url: EndpointUrl, said: Said, request: JsonObject = {}): Completion | null =>
  ENDPOINTS[url].read(BODIES[url](said), request);

/** The sum of the log-probs, the reason why there is none, or null for what is no answer. */
function judged(url: EndpointUrl, said: Said, request: JsonObject = {}): number | EscalationReason | null {
  const completion = read(url, said, request);
  if (completion === null) return null;
  const rule = { signal: { name: 'sum_logprob' }, calibration: null } as const;
  const scored = runAtOnce(scoreDraft({ completion, endpoint: url, request }, rule));
  return scored.kind === 'scored' ? Number(scored.score.toFixed(6)) : scored.reason;
}

/** What a client is shown of an answer. */
const shown = (url: EndpointUrl, said: Said, request: JsonObject = {}): JsonObject =>
  ENDPOINTS[url].answer(BODIES[url](said), request, { wanted: true, top: 1 });

const THOUGHTS = [
  ['<think> let me see </think> ', ''],
  ['let me see\n</think>\n\n', ''],
  ['<|channel|>analysis<|message|>let me see<|end|><|start|>assistant<|channel|>final<|message|>', '<|return|>'],
] as const;

for (const url of ENDPOINT_URLS) {
  test(`${url}: log-probs that do not cover the answer are no evidence, wherever they lack`, () => {
    assert.equal(judged(url, {}), -1.3);
    const all = WORDS.map((word) => entry(word));
    const lists = [
      all.slice(0, 1),
      all.slice(0, -1),
      all.slice(1),
      all.toSpliced(6, 1),
      all.slice(0, 6),
      all.slice(-1),
    ];
    for (const logprobs of lists) {
      assert.equal(judged(url, { logprobs }), 'partial_logprobs');
      // Not even where the server counts what it listed.
      assert.equal(judged(url, { logprobs, usage: logprobs.length }), 'partial_logprobs');
    }
    assert.equal(judged(url, { logprobs: [...all, entry('<|im_end|>', -9)] }), -1.3);
    assert.equal(judged(url, { logprobs: null }), 'no_logprobs');
    assert.equal(judged(url, { logprobs: [] }), 'no_logprobs');
  });

  test(`${url}: exact zeros one after the other without alternatives are no evidence, a certain token is`, () => {
    const all = (logprob: (at: number) => number, hasTop: boolean) =>
      WORDS.map((word, at) => entry(word, logprob(at), hasTop));
    assert.equal(judged(url, { logprobs: all((at) => (at === 0 ? -0.2 : 0), false) }), 'zero_logprobs');
    assert.equal(judged(url, { logprobs: all((at) => (at === 5 || at === 6 ? 0 : -0.2), false) }), 'zero_logprobs');
    assert.equal(judged(url, { logprobs: all(() => 0, true) }), 'zero_logprobs');
    assert.equal(
      judged(url, { text: 'a b', logprobs: [entry('a', -0.2, false), entry(' b', 0, false)] }),
      'zero_logprobs',
    );
    assert.equal(judged(url, { logprobs: all((at) => (at === 0 ? -0.2 : 0), true) }), -0.2);
    assert.equal(judged(url, { logprobs: all((at) => (at === 5 ? 0 : -0.2), false) }), -2.4);
    const sure = { ...entry('yes', 0), top_logprobs: [entry('yes', 0), entry('no', -30)] };
    assert.equal(judged(url, { text: 'yes', logprobs: [sure] }), 0);
  });

  test(`${url}: whatever does not say that an answer is whole says that it is not`, () => {
    for (const finish of ['length', 'max_tokens', 'model_length', 'max_output_tokens', 'incomplete', 'whatever']) {
      assert.equal(judged(url, { finish }), 'truncated', finish);
    }
    assert.equal(judged(url, { finish: 'content_filter' }), 'content_filter');
  });

  test(`${url}: an answer that used up its limit is cut where the server does not say that it is whole`, () => {
    const unsaid: Said = url === '/v1/responses' ? {} : { choice: { finish_reason: null } };
    for (const name of ['max_tokens', 'max_completion_tokens', 'max_output_tokens']) {
      assert.equal(judged(url, { ...unsaid, usage: 13 }, { [name]: 13 }), 'truncated');
      assert.equal(judged(url, { ...unsaid, usage: 13 }, { [name]: 14 }), -1.3);
    }
    assert.equal(judged(url, unsaid), -1.3);
  });

  test(`${url}: an error beside an answer makes it none`, () => {
    for (const error of [{ message: 'Provider disconnected', code: 502 }, 'Provider disconnected', {}, { code: 429 }]) {
      assert.equal(judged(url, { more: { error } }), null, JSON.stringify(error));
      if (url !== '/v1/responses') assert.equal(judged(url, { choice: { error } }), null, JSON.stringify(error));
    }
    for (const error of [null, '']) assert.equal(judged(url, { more: { error } }), -1.3);
  });

  for (const [before, behind] of THOUGHTS) {
    test(`${url}: the answer is what comes after ${JSON.stringify(before)}, judged by its own tokens`, () => {
      const answer = '{"a": 1}';
      const thoughts = (before.match(/\s*\S+|\s+/g) ?? []).map((token) => entry(token, -9));
      const own = [entry('{"', -3), entry('a', -3), entry('":', -3), entry(' 1', -0.25), entry('}', -3)];
      const said = { text: before + answer + behind, logprobs: [...thoughts, ...own, entry('<|im_end|>', -9)] };
      const request =
        url === '/v1/responses'
          ? { text: { format: { type: 'json_object' } } }
          : { response_format: { type: 'json_object' } };
      assert.equal(read(url, said, request)?.text, answer);
      assert.equal(judged(url, said, request), -0.25);
      const body = shown(url, said, request);
      assert.equal(ENDPOINTS[url].text(body, request), answer);
      assert.doesNotMatch(JSON.stringify(body), /let me see|think|channel/);

      const asking = { ...request, logprobs: url === '/v1/completions' ? 1 : true, include: [LOGPROBS] };
      const listed = JSON.stringify(shown(url, said, asking));
      assert.match(listed, /"a"/);
      assert.doesNotMatch(listed, /see|think|channel|im_end/, 'nor in the log-probs');

      const kept = shown(url, said, { ...request, include_reasoning: true });
      assert.equal(ENDPOINTS[url].text(kept, request), answer);
      assert.equal(thoughtIn(url, kept), 'let me see');
      // Without log-probs the answer is the same, and nobody can judge it.
      assert.equal(judged(url, { ...said, logprobs: null }, request), 'no_logprobs');
      assert.equal(ENDPOINTS[url].text(shown(url, { ...said, logprobs: null }, request), request), answer);
    });
  }

  test(`${url}: a thought that never ends is no answer, and nothing of it is shown`, () => {
    for (const text of ['<think> so first I look', '<|channel|>analysis<|message|> so first']) {
      assert.equal(judged(url, { text }), 'unclosed_thought');
      assert.equal(judged(url, { text, finish: 'length' }), 'unclosed_thought');
      assert.equal(ENDPOINTS[url].text(shown(url, { text }), {}), '');
      assert.doesNotMatch(JSON.stringify(shown(url, { text })), /first/);
    }
    assert.equal(judged(url, { text: '<think>hm</think> ' }), 'empty_answer');
  });

  test(`${url}: an answer that speaks of such marks is left as it is`, () => {
    const text = 'A <think> tag is closed by </think> in XML';
    assert.equal(judged(url, { text }), -0.9);
    assert.deepEqual(ENDPOINTS[url].text(shown(url, { text }), {}), text);
    const body = BODIES[url]({ text });
    assert.deepEqual(ENDPOINTS[url].answer(body, {}, { wanted: false, top: 0 }), body);
  });
}

function thoughtIn(url: EndpointUrl, body: JsonObject): Json | undefined {
  if (url === '/v1/responses') {
    const [item] = body['output'] as readonly JsonObject[];
    assert.deepEqual([item?.['type'], item?.['id']], ['reasoning', 'rs_1']);
    const [part] = (item?.['content'] ?? []) as readonly JsonObject[];
    return part?.['text'];
  }
  const [choice] = body['choices'] as readonly JsonObject[];
  const place = (url === '/v1/completions' ? choice : choice?.['message']) as JsonObject | undefined;
  return place?.['reasoning_content'];
}

test('the reasons that mean whole, as servers write them', () => {
  for (const finish of ['stop', 'eos', 'eos_token', 'end_turn', 'stop_sequence', 'STOP', null]) {
    assert.equal(judged('/v1/chat/completions', { finish }), -1.3, `${finish}`);
  }
  for (const finish of ['abort', 'error', 'ABORT'])
    assert.equal(judged('/v1/chat/completions', { finish }), null, finish);
});

test('a reason that is no text counts by its type, and is otherwise none that means whole', () => {
  const ofReason = (given: Json) => judged('/v1/chat/completions', { choice: { finish_reason: given } });
  for (const given of [{ type: 'length', length: 9 }, {}, [], 7, false]) {
    assert.equal(ofReason(given), 'truncated', JSON.stringify(given));
  }
  assert.equal(ofReason({ type: 'stop', matched: 7 }), -1.3);
  assert.equal(ofReason({ type: 'abort' }), null);
  assert.equal(ofReason(''), -1.3);
});

test('what a server says of thoughts by itself is left where it is', () => {
  const message = { role: 'assistant', content: 'four', reasoning_content: 'two and two' };
  const body = { choices: [{ index: 0, message, logprobs: null, finish_reason: 'stop' }] };
  const { '/v1/chat/completions': chat } = ENDPOINTS;
  assert.deepEqual(chat.answer(body, {}, { wanted: true, top: 1 }), body);
  const both = { choices: [{ ...body.choices[0], message: { ...message, content: '<think>hm</think>four' } }] };
  assert.deepEqual(chat.answer(both, { include_reasoning: true }, { wanted: true, top: 1 }), body);
});

test('tokens of the older shape are where they are in what is left of the text', () => {
  const texts = ['<think>', 'so 😀', '</think>', ' 4', ' or', ' 5'];
  for (const start of [0, 100]) {
    const at = texts.map((_, nth) => start + Array.from(texts.slice(0, nth).join('')).length);
    const logprobs = { tokens: texts, token_logprobs: texts.map(() => -1), text_offset: at };
    const body = { choices: [{ index: 0, text: texts.join(''), logprobs, finish_reason: 'stop' }] };
    const { choices } = ENDPOINTS['/v1/completions'].answer(body, { logprobs: 1 }, { wanted: true, top: 1 });
    const [choice] = choices as readonly { text: string; logprobs: JsonObject }[];
    assert.equal(choice?.text, '4 or 5');
    assert.deepEqual(choice.logprobs['tokens'], [' 4', ' or', ' 5']);
    assert.deepEqual(choice.logprobs['text_offset'], [start, start + 1, start + 4]);
  }
});

test('a text in parts loses what was thought in them, and keeps the others', () => {
  const parts = [
    { type: 'text', text: '<think>hm' },
    { type: 'text', text: '</think>four' },
  ];
  const body = { choices: [{ index: 0, message: { content: parts }, finish_reason: 'stop' }] };
  const { '/v1/chat/completions': chat, '/v1/responses': responses } = ENDPOINTS;
  assert.equal(chat.read(body, {})?.text, 'four');
  assert.deepEqual(chat.answer(body, {}, { wanted: false, top: 0 })['choices'], [
    { index: 0, message: { content: [{ type: 'text', text: 'four' }] }, finish_reason: 'stop' },
  ]);
  const part = (text: string, ...tokens: string[]) => ({
    type: 'output_text',
    text,
    logprobs: tokens.map((token) => entry(token)) as unknown as Json,
  });
  const item = (id: string, ...content: JsonObject[]) => ({ type: 'message', id, content });
  const response = {
    status: 'completed',
    output: [
      item('msg_1', part('<think>hm', '<think>', 'hm'), part('</think>fo', '</think>', 'fo')),
      item('msg_2', part('ur', 'ur')),
    ],
  };
  assert.deepEqual(
    responses.read(response, {})?.tokens?.map(({ token }) => token),
    ['fo', 'ur'],
  );
  assert.deepEqual(
    responses.answer(response, { include: [LOGPROBS], top_logprobs: 1 }, { wanted: true, top: 1 })['output'],
    [item('msg_1', part('fo', 'fo')), item('msg_2', part('ur', 'ur'))],
  );
});
