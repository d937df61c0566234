import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { runAtOnce } from '../text/slices.ts';
import { scoreDraft as score, type SignalSpec } from '../confidence/index.ts';
import type { Completion } from './completion.ts';
import type { JsonObject } from '../text/json.ts';
import { ENDPOINT_URLS, ENDPOINTS, type EndpointUrl } from './index.ts';

type Asked = { readonly signal: SignalSpec['name']; readonly endpoint: EndpointUrl; readonly request: JsonObject };

const scoreDraft = (completion: Completion, { signal, endpoint, request }: Asked) =>
  runAtOnce(score({ completion, endpoint, request }, { signal: { name: signal } as SignalSpec, calibration: null }));

const LOGPROBS = 'message.output_text.logprobs';
const { '/v1/completions': completions, '/v1/responses': responses } = ENDPOINTS;

/** A response as OpenAI's reference shows it. */
function responseOf(parts: readonly object[], more: object = {}) {
  return {
    id: 'resp_1',
    object: 'response',
    status: 'completed',
    error: null,
    incomplete_details: null,
    model: 'small',
    output: [
      { type: 'reasoning', id: 'rs_1', summary: [] },
      { type: 'message', id: 'msg_1', role: 'assistant', status: 'completed', content: parts },
    ],
    usage: {
      input_tokens: 12,
      input_tokens_details: { cached_tokens: 4 },
      output_tokens: 3,
      output_tokens_details: { reasoning_tokens: 1 },
      total_tokens: 15,
    },
    ...more,
  };
}

const token = (text: string, logprob: number, top: readonly object[] = []) => ({
  token: text,
  logprob,
  bytes: [...Buffer.from(text)],
  top_logprobs: top,
});

const textPart = (text: string, logprobs: unknown) => ({ type: 'output_text', text, annotations: [], logprobs });

test('the older completions: text, parallel log-probs, usage', () => {
  const read = completions.read(
    {
      id: 'cmpl-1',
      model: 'small',
      choices: [
        {
          text: ' yes.',
          finish_reason: 'stop',
          logprobs: { tokens: [' yes', '.'], token_logprobs: [-0.5, '-0.25'], top_logprobs: [{ ' yes': -0.5 }, null] },
        },
      ],
      usage: { prompt_tokens: 5, completion_tokens: 2 },
    },
    {},
  );
  assert.equal(read?.text, ' yes.');
  assert.deepEqual(
    read?.tokens?.map((one) => one.logprob),
    [-0.5, -0.25],
  );
  assert.deepEqual(read?.tokens?.[0]?.top, [{ token: ' yes', logprob: -0.5 }]);
  assert.deepEqual([read?.usage.inputTokens, read?.usage.outputTokens], [5, 2]);
});

test('a prompt that is echoed is not judged', () => {
  const answer = {
    choices: [
      {
        text: 'Is it? yes',
        finish_reason: 'stop',
        logprobs: { tokens: ['Is', ' it?', ' yes'], token_logprobs: [null, -7, -0.5] },
      },
    ],
  };
  const judge = (request: { prompt: string | readonly string[]; echo?: boolean }) => {
    const read = completions.read(answer, request);
    assert.ok(read);
    const scored = scoreDraft(read, { signal: 'min_logprob', endpoint: '/v1/completions', request });
    return scored.kind === 'scored' ? scored.score : scored.reason;
  };
  assert.equal(judge({ prompt: 'Is it?', echo: true }), -0.5);
  // Where the prompt cannot be told from the answer, its first token makes the draft as unsure as can be.
  assert.equal(judge({ prompt: ['Is it?'], echo: true }), -9999);
});

test('a response: text, log-probs of every part, usage', () => {
  const parts = [textPart('yes', [token('yes', -0.5)]), textPart(' sir', [token(' sir', -0.25)])];
  const read = responses.read(responseOf(parts), {});
  assert.equal(read?.text, 'yes sir');
  assert.equal(read?.finishReason, 'stop');
  assert.deepEqual(
    read?.tokens?.map((one) => one.logprob),
    [-0.5, -0.25],
  );
  assert.deepEqual(read?.usage, { inputTokens: 12, cachedTokens: 4, outputTokens: 3, reasoningTokens: 1 });
  assert.equal(
    responses.read(responseOf([textPart('yes', [token('yes', -0.5)]), textPart('no', [])]), {})?.tokens,
    null,
  );
});

test('what a response says of itself becomes a reason, or no completion', () => {
  const judge = (body: object, request: Record<string, never> = {}) => {
    const read = responses.read(body, request);
    if (read === null) return null;
    const scored = scoreDraft(read, { signal: 'mean_logprob', endpoint: '/v1/responses', request });
    return scored.kind === 'scored' ? scored.score : scored.reason;
  };
  const sure = [textPart('yes', [token('yes', -0.5)])];
  assert.equal(judge(responseOf(sure)), -0.5);
  const incomplete = (reason: string) => responseOf(sure, { status: 'incomplete', incomplete_details: { reason } });
  assert.equal(judge(incomplete('max_output_tokens')), 'truncated');
  assert.equal(judge(incomplete('content_filter')), 'content_filter');
  assert.equal(judge(responseOf([{ type: 'refusal', refusal: 'no' }])), 'refused');
  assert.equal(judge(responseOf([], { output: [{ type: 'function_call', name: 'f' }] })), 'tool_call');
  assert.equal(judge(responseOf([textPart('yes', [])])), 'no_logprobs');
  assert.equal(judge(responseOf([])), 'empty_answer');
  const json = { text: { format: { type: 'json_schema', name: 'x', schema: { type: 'object' } } } };
  assert.equal(judge(responseOf(sure), json as never), 'invalid_json');
  assert.equal(judge(responseOf(sure, { status: 'failed' })), null);
  assert.equal(judge(responseOf(sure, { status: 'queued' })), null);
  assert.equal(judge(responseOf(sure, { error: { code: 'server_error', message: 'x' } })), null);
  assert.equal(judge({ choices: [] }), null);
});

test('log-probs are asked for in the words of the endpoint, and taken out again', () => {
  const wanted = { wanted: true, top: 0 };
  assert.deepEqual(completions.request({ model: 'c', prompt: 'a', stream: false }, 'm', wanted), {
    model: 'm',
    prompt: 'a',
    logprobs: 1,
  });
  assert.deepEqual(completions.request({ prompt: 'a', logprobs: 3 }, 'm', { wanted: true, top: 5 })['logprobs'], 5);
  const logprobs = { tokens: ['y'], token_logprobs: [-0.1], top_logprobs: [{ n: -3, y: -0.1 }] };
  const completion = { choices: [{ text: 'y', logprobs }] };
  assert.deepEqual(completions.answer(completion, { prompt: 'a' }, wanted), {
    choices: [{ text: 'y', logprobs: null }],
  });
  assert.deepEqual(completions.answer(completion, { prompt: 'a', logprobs: 1 }, { wanted: true, top: 2 }), {
    choices: [{ text: 'y', logprobs: { ...logprobs, top_logprobs: [{ y: -0.1 }] } }],
  });

  const asked = responses.request({ input: 'a', background: true, include: ['x'] }, 'm', { wanted: true, top: 2 });
  assert.deepEqual(asked, { model: 'm', input: 'a', include: ['x', LOGPROBS], top_logprobs: 2 });
  const top = [token('y', -0.1), token('n', -3)];
  const response = responseOf([textPart('y', [token('y', -0.1, top)])]);
  const partOf = (body: object) =>
    (body as { output: { content?: { logprobs: unknown }[] }[] }).output.at(-1)?.content?.[0]?.logprobs;
  assert.deepEqual(partOf(responses.answer(response as never, { input: 'a' }, wanted)), []);
  const own = { input: 'a', include: [LOGPROBS], top_logprobs: 1 };
  assert.deepEqual(partOf(responses.answer(response as never, own, { wanted: true, top: 2 })), [
    token('y', -0.1, top.slice(0, 1)),
  ]);
});

test('a stream may be asked for where it is answered at once, and in no line of a batch', () => {
  for (const url of ENDPOINT_URLS) {
    const { problem, inputField } = ENDPOINTS[url];
    const body = { [inputField]: inputField === 'messages' ? [{ role: 'user', content: 'a' }] : 'a', stream: true };
    assert.equal(problem(body)?.code, 'streaming_unsupported', url);
    assert.equal(problem(body, { streams: false })?.param, 'body.stream', url);
    assert.equal(problem(body, { streams: true }), null, url);
    assert.equal(problem({ ...body, stream: false }), null, url);
    assert.equal(problem({ stream: true }, { streams: true })?.param, `body.${inputField}`, url);
    assert.equal(ENDPOINTS[url].request(body, 'm', { wanted: false, top: 0 })['stream'], undefined, url);
  }
});

test("a stage's own text stands before all else, and where it has no place the body stays as it is", () => {
  const { '/v1/chat/completions': chat } = ENDPOINTS;
  const messages = [
    { role: 'system', content: 'be brief' },
    { role: 'user', content: 'a' },
  ];
  assert.deepEqual(chat.withSystem({ messages, seed: 1 }, 'own'), {
    messages: [{ role: 'system', content: 'own' }, ...messages],
    seed: 1,
  });
  assert.deepEqual(chat.withSystem({ messages: 'x' }, 'own'), { messages: 'x' });
  assert.deepEqual(responses.withSystem({ input: 'a', instructions: 'be brief' }, 'own'), {
    input: 'a',
    instructions: 'own\n\nbe brief',
  });
  for (const instructions of [null, '']) {
    assert.deepEqual(responses.withSystem({ input: 'a', instructions }, 'own')['instructions'], 'own');
  }
  assert.deepEqual(completions.withSystem({ prompt: 'a' }, 'own'), { prompt: 'own\n\na' });
  assert.deepEqual(completions.withSystem({ prompt: ['a', 'b'] }, 'own'), { prompt: ['own\n\na', 'own\n\nb'] });
  for (const prompt of [[1, 2], [[1], [2]], []]) {
    assert.deepEqual(completions.withSystem({ prompt }, 'own'), { prompt });
  }
});

test('a further question comes after the answer, and keeps of the body what the model must know', () => {
  const { '/v1/chat/completions': chat } = ENDPOINTS;
  const user = { role: 'user', content: 'a' };
  const asked = [
    { role: 'assistant', content: 'yes' },
    { role: 'user', content: 'Sure?' },
  ];
  assert.deepEqual(chat.followUp({ model: 'm', messages: [user], max_tokens: 500, tools: [] }, 'yes', 'Sure?', 1), {
    model: 'm',
    messages: [user, ...asked],
    max_tokens: 1,
    temperature: 0,
  });
  assert.equal(chat.followUp({}, 'yes', 'Sure?', 1), null);
  assert.deepEqual(completions.followUp({ prompt: 'a ' }, 'yes', 'Sure?', 1), {
    prompt: 'a yes\n\nSure?\n',
    max_tokens: 1,
    temperature: 0,
  });
  assert.equal(completions.followUp({ prompt: ['a'] }, 'yes', 'Sure?', 1), null);
  assert.deepEqual(responses.followUp({ input: 'a', instructions: 'be brief' }, 'yes', 'Sure?', 1), {
    instructions: 'be brief',
    input: [user, ...asked],
    max_output_tokens: 16,
    temperature: 0,
  });
  assert.equal(responses.followUp({ input: [user] }, 'yes', 'Sure?', 40)?.['max_output_tokens'], 40);
  assert.equal(responses.takesSeed, false);
});

test('whatever JSON comes, nothing throws, and what is read can be scored', () => {
  const keys = fc.constantFrom(
    'choices',
    'output',
    'content',
    'logprobs',
    'text',
    'type',
    'status',
    'token',
    'logprob',
  );
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { depthSize: 'medium' },
      fc.constantFrom('message', 'output_text', 'stop', '', null, 0, -1, true),
      fc.array(tie('tree'), { maxLength: 3 }),
      fc.dictionary(keys, tie('tree'), { maxKeys: 5 }),
    ),
  }));
  fc.assert(
    fc.property(fc.constantFrom(...ENDPOINT_URLS), tree, tree, (url: EndpointUrl, answer, request) => {
      const endpoint = ENDPOINTS[url];
      const body = (typeof request === 'object' && request !== null ? request : {}) as Record<string, never>;
      endpoint.problem(body);
      endpoint.withSystem(body, 'own');
      endpoint.followUp(body, 'yes', 'Sure?', 1);
      endpoint.request(body, 'm', { wanted: true, top: 2 });
      const read = endpoint.read(answer, body);
      if (read === null) return;
      endpoint.answer(answer as never, body, { wanted: true, top: 2 });
      const scored = scoreDraft(read, { signal: 'mean_logprob', endpoint: url, request: body });
      assert.ok(scored.kind === 'no_evidence' || scored.score <= 0);
    }),
    { numRuns: 2000 },
  );
});
