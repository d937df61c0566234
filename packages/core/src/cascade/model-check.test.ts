import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isJsonObject, type Json, type JsonObject } from '../text/json.ts';
import type { Fault } from './failure/fault.ts';
import {
  beginCheck,
  completeCheck,
  type BegunCheck,
  type CheckAnswer,
  type CheckQuestion,
  type CheckSteps,
} from './model-check.ts';
import { askLackOf, isFit, lackOf, modelFindings, NOTHING_FOUND, type ModelFindings } from './model-findings.ts';

/** A server as a function; what it answers to a question. */
type Server = (question: CheckQuestion) => CheckAnswer;

const MODEL = { name: 'small', model: 'qwen3-4b', baseURL: 'http://model:8000/v1' };

const good = (body: JsonObject, streamed = false): CheckAnswer => ({ kind: 'answered', body, streamed, ms: 41.6 });
const refusal = (status: number, said: Json): CheckAnswer => ({ kind: 'failed', fault: faultOf(status, said) });
const faultOf = (status: number, body: Json): Fault => ({
  kind: 'http',
  status,
  body,
  retryAfterMs: null,
  requestId: null,
});
const error = (message: string, more: JsonObject = {}): Json => ({ error: { message, ...more } });

const listing = (...ids: readonly string[]): CheckAnswer =>
  good({ object: 'list', data: ids.map((id) => ({ id, object: 'model' })) });

/** A chat answer with log-probs and so many alternatives of each token; null: without. */
function chat(text: string, top: number | null): JsonObject {
  const entry = (token: string) => ({ token, logprob: -0.1, bytes: null });
  const others = Array.from({ length: top ?? 0 }, (_, at) => entry(`t${at}`));
  const content = (text.match(/\S+\s*/g) ?? []).map((token) => ({ ...entry(token), top_logprobs: others }));
  return {
    choices: [
      {
        message: { role: 'assistant', content: text },
        logprobs: top === null ? null : { content },
        finish_reason: 'stop',
      },
    ],
  };
}

const scoresOf = (count: number): Json[] => [
  null,
  ...Array.from({ length: count - 1 }, (_, at): Json => ({ [at]: { logprob: -1, rank: 1, decoded_token: 'x' } })),
];

function run<Result>(steps: CheckSteps<Result>, server: Server, asked: CheckQuestion[] = []): Result {
  let step = steps.next();
  while (step.done !== true) {
    asked.push(step.value);
    step = steps.next(server(step.value));
  }
  return step.value;
}

function begin(server: Server, model = MODEL): BegunCheck {
  return run(beginCheck(model), server);
}

/** The whole check, and how many questions it took. */
function check(server: Server): { found: ModelFindings; questions: number } {
  const asked: CheckQuestion[] = [];
  const begun = run(beginCheck(MODEL), server, asked);
  assert.ok(begun.kind === 'answered', JSON.stringify(begun));
  const found = run(completeCheck(begun), server, asked);
  assert.deepEqual(modelFindings.parse(JSON.parse(JSON.stringify(found))), found);
  return { found, questions: asked.length };
}

const FOUND = { reachable: true, known: true, ms: 42, problem: null, refused: [] } as const;

const vllm: Server = (question) => {
  if (question.kind === 'models') return listing('qwen3-4b');
  const { body, endpoint } = question;
  assert.equal(endpoint, '/v1/chat/completions', 'nothing else need be asked');
  if (body['continue_final_message'] === true) {
    assert.equal(body['add_generation_prompt'], false, 'vLLM refuses both');
    return good({ ...chat('lo world', null), prompt_logprobs: body['prompt_logprobs'] === 0 ? scoresOf(14) : null });
  }
  const text = isJsonObject(body['response_format']) ? '{"hello":' : 'Hello there';
  const top = typeof body['top_logprobs'] === 'number' ? body['top_logprobs'] : 0;
  return good(chat(text, body['logprobs'] === true ? top : null), body['stream'] === true);
};

test('vLLM: all of it, in four questions', () => {
  assert.deepEqual(check(vllm), {
    questions: 4,
    found: {
      ...FOUND,
      log_probs: true,
      alternatives: true,
      streamed_log_probs: true,
      scoring: 'prompt_logprobs',
      continuation: 'new_text',
      json_mode: true,
    },
  });
});

test('llama-server: takes every field with a 200, scores nothing, and goes on with the given part before its text', () => {
  const { found, questions } = check((question) => {
    if (question.kind === 'models') return listing('qwen3-4b.gguf');
    const { body, endpoint } = question;
    if (endpoint === '/v1/completions') return good({ choices: [{ text: ' white.', logprobs: null }] });
    if (body['continue_final_message'] === true) return good(chat('Zebra says hello!', null));
    const text = isJsonObject(body['response_format']) ? ' {"hello"' : 'Hello there';
    return good(chat(text, body['logprobs'] === true ? 1 : null), body['stream'] === true);
  });
  assert.equal(questions, 5);
  assert.deepEqual(
    [found.known, found.log_probs, found.streamed_log_probs, found.json_mode],
    [true, true, true, true],
    'who answers to a name knows it',
  );
  assert.deepEqual([found.scoring, found.continuation], ['no', 'whole_text']);
});

test('llama-cpp-python: log-probs only with alternatives, answers anew where it is to go on, scores an echo', () => {
  const { found } = check((question) => {
    if (question.kind === 'models') return listing('qwen3-4b');
    const { body, endpoint } = question;
    if (endpoint === '/v1/completions') {
      const tokens = 'The sky is blue'.split(/(?= )/);
      const logprobs = { tokens, token_logprobs: [null, -1, -2, -0.5], top_logprobs: null };
      return good({ choices: [{ text: body['prompt'] ?? '', logprobs }] });
    }
    if (body['continue_final_message'] === true) return good(chat('Hello! How can I help?', null));
    const isAsked = body['logprobs'] === true && body['top_logprobs'] === 1;
    // It answers in one piece, whatever was asked.
    return good(chat(isJsonObject(body['response_format']) ? '{' : 'Hello there', isAsked ? 1 : null));
  });
  assert.deepEqual([found.log_probs, found.alternatives, found.streamed_log_probs], [true, true, false]);
  assert.deepEqual([found.scoring, found.continuation], ['echo', 'no']);
});

test('SGLang: goes on, and scores a chat by an echo of the tokens that it says the chat becomes', () => {
  const tokens = ['<s>', 'Say hello.', '\n', 'Zebra', ' says', ' hel'];
  const server =
    (own: { readonly ids?: Json; readonly echoed?: readonly string[] } = {}) =>
    (question: CheckQuestion): CheckAnswer => {
      if (question.kind === 'models') return listing('qwen3-4b');
      const { body, endpoint } = question;
      if (endpoint === '/v1/completions') {
        const { prompt } = body;
        const given = Array.isArray(prompt) ? (own.echoed ?? tokens) : 'The sky is blue'.split(/(?= )/);
        const all = [...given, 'lo'];
        const logprobs = {
          tokens: all,
          token_logprobs: all.map((_, at) => (at === 0 ? null : -0.5)),
          top_logprobs: all.map((token, at) => (at === 0 ? null : { [token]: -0.5 })),
          text_offset: all.map(() => -1),
        };
        return good({ choices: [{ text: all.join(''), logprobs }] });
      }
      const answer = chat(body['continue_final_message'] === true ? 'lo' : 'Hello', 1);
      if (body['return_prompt_token_ids'] !== true) return good(answer);
      const [choice] = answer['choices'] as JsonObject[];
      return good({
        choices: [{ ...choice, prompt_token_ids: own.ids === undefined ? tokens.map((_, at) => at) : own.ids }],
      });
    };
  const { found } = check(server());
  assert.deepEqual([found.scoring, found.continuation, found.prompt_ids], ['echo', 'new_text', true]);
  assert.equal(askLackOf(found, ['verify']), null);
  for (const own of [
    { ids: null },
    { ids: ['1'] },
    { ids: [] },
    { echoed: tokens.slice(1) },
    { echoed: ['a', ...tokens.slice(0, 5)] },
  ]) {
    const without = check(server(own)).found;
    assert.deepEqual([without.scoring, without.prompt_ids], ['echo', undefined], JSON.stringify(own));
    assert.match(askLackOf(without, ['verify']) ?? '', /scores completions only/);
  }
});

test("OpenAI's newer models: a refusal that names a field is asked again without it", () => {
  const asked: JsonObject[] = [];
  const { found } = check((question) => {
    if (question.kind === 'models') return listing('qwen3-4b', 'other');
    const { body, endpoint } = question;
    asked.push(body);
    if (endpoint === '/v1/completions') return refusal(404, error('This is not a chat model.'));
    if ('max_tokens' in body) {
      return refusal(400, error("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."));
    }
    if ('logprobs' in body) return refusal(403, error('You are not allowed to request logprobs from this model'));
    if ('continue_final_message' in body) {
      return refusal(400, error('Unrecognized request arguments: add_generation_prompt, prompt_logprobs'));
    }
    return good(chat(isJsonObject(body['response_format']) ? '{"' : '', null));
  });
  assert.deepEqual(found.refused, ['max_tokens', 'logprobs', 'top_logprobs']);
  const said = 'You are not allowed to request logprobs from this model';
  assert.equal(found.said, said);
  assert.match(lackOf(found, ['sum_logprob']) ?? '', new RegExp(`refuses log-probs \\(${said}\\): without them`));
  assert.deepEqual([found.log_probs, found.alternatives, found.streamed_log_probs], [false, false, null]);
  assert.deepEqual([found.scoring, found.continuation, found.json_mode], ['no', 'no', true]);
  assert.ok(asked.every((body) => !('max_tokens' in body && 'max_completion_tokens' in body)));
  assert.ok(asked.length <= 9, `${asked.length} calls`);
});

test('a refusal of alternatives leaves the log-probs, and one of the scores leaves the continuation', () => {
  const { found } = check((question) => {
    if (question.kind === 'models') return refusal(404, 'Not Found');
    const { body, endpoint } = question;
    if (endpoint === '/v1/completions') return refusal(500, error('logits_all must be True'));
    if ('top_logprobs' in body)
      return refusal(400, error('Requested sample logprobs of 1, greater than max allowed: 0'));
    if ('prompt_logprobs' in body) return refusal(400, error('prompt_logprobs are not supported'));
    if ('continue_final_message' in body) return good(chat('lo', null));
    return good(chat('Hello', body['logprobs'] === true ? 0 : null), body['stream'] === true);
  });
  assert.deepEqual([found.refused, found.log_probs, found.alternatives], [['top_logprobs'], true, false]);
  assert.match(lackOf(found, ['margin']) ?? '', /refuses alternatives \(Requested sample .*\): without them margin/);
  assert.deepEqual([found.continuation, found.scoring, found.json_mode], ['new_text', 'no', false]);
});

test('a base model without a chat template is checked by completions', () => {
  const begun = begin((question) => {
    if (question.kind === 'models') return listing('qwen3-4b');
    if (question.endpoint === '/v1/chat/completions') return refusal(400, error('the tokenizer has no chat template'));
    const logprobs = { tokens: ['a'], token_logprobs: [-1], top_logprobs: [{ a: -1, b: -2 }] };
    return good({ choices: [{ text: 'a', logprobs }] });
  });
  assert.ok(begun.kind === 'answered');
  assert.deepEqual([begun.found.log_probs, begun.found.alternatives], [true, true]);
});

test('no answer, or one that says later, is waited for; what somebody must mend is told with what to do', () => {
  const absent: Fault[] = [
    { kind: 'unreachable', message: 'connect ECONNREFUSED' },
    { kind: 'timeout', message: 'no answer within 5000 ms' },
    { kind: 'reset', message: 'other side closed' },
    ...[429, 500, 502, 503, 504, 520, 524, 529].map((status) => faultOf(status, '<html>')),
  ];
  for (const fault of absent) {
    const begun = begin((question) => (question.kind === 'models' ? listing('qwen3-4b') : { kind: 'failed', fault }));
    assert.equal(begun.kind, 'absent', JSON.stringify(fault));
    assert.equal(begun.found.reachable, false);
    assert.notEqual(begun.found.problem, null);
    const calls: CheckQuestion[] = [];
    run(beginCheck(MODEL), () => ({ kind: 'failed', fault }), calls);
    assert.equal(calls.length, 1);
  }
  const noModel = error('The model `qwen3-4b` does not exist.', { type: 'NotFoundError', param: 'model', code: 404 });
  const cases: readonly [Server, RegExp, boolean | null][] = [
    [() => refusal(401, error('Incorrect API key')), /does not take the API key: see models\.small\.api_key_env/, null],
    [() => refusal(403, error('no')), /does not let this key use the model "qwen3-4b"/, null],
    [() => refusal(402, error('pay')), /nothing left/, null],
    [
      (asked) => (asked.kind === 'models' ? listing() : refusal(429, error('x', { code: 'insufficient_quota' }))),
      /nothing left/,
      null,
    ],
    [() => refusal(404, noModel), /does not know the model "qwen3-4b": see models\.small\.model/, false],
    [
      (asked) => (asked.kind === 'models' ? listing('a', 'b') : refusal(404, 'none')),
      /does not know the model "qwen3-4b", but a, b: see models\.small\.model/,
      false,
    ],
    [() => refusal(404, { detail: 'Not Found' }), /answered 404 to \/chat\/completions: is it the address/, null],
    [() => refusal(400, error('what?')), /^the server said 400: .*what\?/, null],
    [() => good({ hello: 'world' }), /^garbled: an answer that is no completion/, null],
    [() => ({ kind: 'failed', fault: { kind: 'garbled', status: 200, message: '<html>' } }), /^garbled: <html>/, null],
  ];
  for (const [server, message, known] of cases) {
    const begun = begin(server);
    assert.equal(begun.kind, 'wrong', String(message));
    assert.match(begun.found.problem ?? '', message);
    assert.equal(begun.found.known, known, String(message));
    assert.equal(begun.found.reachable, true);
  }
  const withoutV1 = begin(() => refusal(404, { detail: 'Not Found' }), {
    ...MODEL,
    baseURL: 'http://user:pw@model:8000',
  });
  assert.match(withoutV1.found.problem ?? '', /models\.small\.base_url answered 404 .*should it end in \/v1\?/);
  assert.doesNotMatch(withoutV1.found.problem ?? '', /user|pw/);
});

test('a server that goes away in mid-check leaves unknown what it was not asked', () => {
  for (const left of [1, 2, 3]) {
    let asked = 0;
    const { found, questions } = check((question) => {
      asked += 1;
      return asked > left ? { kind: 'failed', fault: { kind: 'reset', message: 'gone' } } : vllm(question);
    });
    assert.equal(questions, left + 1 + (left === 3 ? 1 : 0), `${left}`);
    assert.deepEqual([found.log_probs, found.scoring, found.problem], [true, null, null]);
  }
});

test('an empty answer, such as that of a model that still thinks, says nothing of log-probs and of JSON mode', () => {
  const begun = begin((question) => (question.kind === 'models' ? listing('qwen3-4b') : good(chat('', null))));
  assert.equal(begun.found.log_probs, null);
  assert.equal(lackOf(begun.found, ['sum_logprob']), null);
  assert.equal(isFit(begun.found, ['sum_logprob']), false, 'but nobody can say that it will do');
  assert.equal(isFit(begun.found, []), true);
});

test('whatever a server answers, the check ends after a few questions and its findings can be stored', () => {
  const text = fc.constantFrom('', 'lo', 'Hello', '{', 'Zebra says hello', 'max_completion_tokens logprobs model');
  const body = fc.oneof(
    fc.dictionary(fc.constantFrom('choices', 'data', 'error', 'prompt_logprobs', 'x'), fc.jsonValue()),
    text.chain((said) => fc.option(fc.nat(3)).map((top) => chat(said, top))),
  );
  const status = fc.constantFrom(400, 401, 402, 403, 404, 405, 413, 422, 429, 500, 503);
  const answer: fc.Arbitrary<CheckAnswer> = fc.oneof(
    fc.tuple(body, fc.boolean()).map(([said, streamed]) => good(said as JsonObject, streamed)),
    fc.tuple(status, fc.oneof(text, body)).map(([code, said]) => refusal(code, said as Json)),
    fc.constant<CheckAnswer>({ kind: 'failed', fault: { kind: 'timeout', message: '' } }),
  );
  fc.assert(
    fc.property(fc.infiniteStream(answer), (answers) => {
      const asked: CheckQuestion[] = [];
      const next: Server = () => answers.next().value as CheckAnswer;
      const begun = run(beginCheck(MODEL), next, asked);
      const found = begun.kind === 'answered' ? run(completeCheck(begun), next, asked) : begun.found;
      assert.ok(asked.length <= 12, `${asked.length} questions`);
      assert.deepEqual(modelFindings.parse(JSON.parse(JSON.stringify(found))), found);
      assert.equal(found.problem === null, begun.kind === 'answered');
    }),
  );
});

test('what drafts cannot be judged without is told for the signals that need it, and for no other', () => {
  const found = { ...NOTHING_FOUND, reachable: true, known: true, log_probs: true, alternatives: true };
  assert.equal(lackOf(found, ['margin']), null);
  const none = { ...found, log_probs: false, alternatives: false };
  assert.match(lackOf(none, ['sum_logprob', 'agreement']) ?? '', /gives no log-probs: without them sum_logprob cannot/);
  assert.match(lackOf({ ...none, refused: ['logprobs'] }, ['label']) ?? '', /refuses log-probs/);
  assert.equal(lackOf(none, ['agreement']), null);
  assert.equal(lackOf(none, []), null, 'an expert judges nothing');
  assert.match(lackOf({ ...found, alternatives: false }, ['sum_logprob', 'margin']) ?? '', /top_logprobs.*margin/);
  assert.equal(lackOf({ ...found, alternatives: false }, ['sum_logprob']), null);
  assert.deepEqual(
    [isFit(found, ['margin']), isFit(none, ['sum_logprob']), isFit(none, ['agreement']), isFit(none, [])],
    [true, false, true, true],
  );
});
