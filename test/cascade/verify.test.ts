import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { runStage } from '@spillway/cascade';
import {
  NOTHING_FOUND,
  resultOf,
  type CascadeDocument,
  type Draft,
  type Ending,
  type JsonObject,
  type ModelFindings,
  type ResultLine,
} from '@spillway/core';
import { answerOf, draftOf, jobOf } from '../support/jobs.ts';
import { startModelServer, type ModelServer } from '../support/model-server.ts';
import {
  answerByIds,
  callsOf,
  givenIn,
  tokensOf,
  verifyingAnswer,
  type VerifyingOptions,
} from '../support/verifying-server.ts';
import { delivered, openStages } from '../support/stage-models.ts';

const FOUND: ModelFindings = { ...NOTHING_FOUND, scoring: 'prompt_logprobs', continuation: 'new_text' };

type Setting = Partial<VerifyingOptions> & {
  readonly own?: string;
  readonly draft?: string | Draft;
  readonly body?: JsonObject;
  readonly found?: ModelFindings;
  readonly verify?: string;
  /** Its server scores by the ids of a prompt's tokens. */
  readonly byIds?: Parameters<typeof answerByIds>[0]['echoes'] | true;
  /** A call for the whole answer is refused. */
  readonly refusesWhole?: boolean;
};

const draftSaying = (text: string, given: Partial<Draft> = {}): Draft =>
  draftOf({
    answer: answerOf({ body: { choices: [{ message: { content: text }, finish_reason: 'stop' }] } }),
    ...given,
  });

/** An expert that has an answer of its own, behind a server, in a cascade that has it verify drafts. */
async function expertOf(
  t: TestContext,
  { own = 'yes', verify = '', found = FOUND, refusesWhole = false, byIds, ...options }: Setting,
) {
  const model = { answer: () => own, ...options };
  const echoes = typeof byIds === 'function' ? { echoes: byIds } : {};
  const answer = byIds === undefined ? verifyingAnswer(model) : answerByIds({ ...model, ...echoes });
  const server = await startModelServer({
    role: 'expert',
    answer: (request) =>
      refusesWhole && request.body['continue_final_message'] !== true
        ? { kind: 'status', status: 400 }
        : answer(request),
  });
  t.after(() => server[Symbol.asyncDispose]());
  const { baseURL } = server;
  const { rules, models, notices } = openStages(t, {
    small: baseURL,
    large: baseURL,
    ofLarge: ', max_attempts: 2, price: { input: 1, output: 10 }',
    ofCascade: `, ask: verify${verify}`,
  });
  const [, opened] = models;
  opened.know(found);
  const run = async (draft: string | Draft, body: JsonObject = {}) => {
    const drafts = [typeof draft === 'string' ? draftSaying(draft) : draft];
    const messages = [{ role: 'user', content: 'How much is it?' }];
    const job = jobOf({ body: { model: 'test', messages, temperature: 0, ...body }, stage: 1, drafts });
    const document: CascadeDocument = { job, rules };
    const outcome = await runStage(opened, document, { signal: new AbortController().signal, stalls: 0 });
    return { document, outcome };
  };
  return { server, model: opened, run, notices };
}

type Answered = { line: ResultLine; text: string | null; calls: string[]; server: ModelServer; ending: Ending };

/** One document at such an expert, which must come to an answer. */
async function answered(t: TestContext, setting: Setting): Promise<Answered> {
  const { server, run } = await expertOf(t, setting);
  const { document, outcome } = await run(setting.draft ?? 'no', setting.body);
  assert.ok(outcome.kind === 'settle', JSON.stringify(outcome));
  const { line, text } = delivered(document, outcome.ending);
  return { line, text, calls: callsOf(server.requests), server, ending: outcome.ending };
}

const stageIn = ({ cascade }: ResultLine) => cascade?.stages[1] ?? assert.fail();
const bodyOf = ({ response }: ResultLine) => response?.body as JsonObject;
const OWN = '{"type": "invoice", "currency": "GBP", "total": "10.15"}';

test('a draft that is the answer of the expert stands, after one call and without a word written', async (t) => {
  const { line, text, calls, server } = await answered(t, { own: OWN, draft: OWN });
  assert.equal(text, OWN);
  assert.deepEqual(calls, ['scoring']);
  const [scoring] = server.requests;
  assert.deepEqual(
    [scoring?.body['prompt_logprobs'], scoring?.body['max_tokens'], scoring?.body['add_generation_prompt']],
    [0, 1, false],
  );
  const stage = stageIn(line);
  assert.deepEqual([stage.ask, stage.outcome, stage.kept_characters], ['verify', 'answered', OWN.length]);
  const { usage, choices, prompt_logprobs: scores } = bodyOf(line);
  assert.equal(scores, undefined, 'scores are no part of an answer');
  assert.equal((choices as JsonObject[])[0]?.['finish_reason'], 'stop');
  const tokens = tokensOf(OWN).length;
  assert.equal((usage as JsonObject)['completion_tokens'], tokens, 'an answer is as long as it is');
  assert.deepEqual([stage.usage.input_tokens, stage.usage.output_tokens], [8 + 2 + tokens, 0], 'what was paid');
});

test('a draft is kept as far as the expert agrees, and gone on with from there', async (t) => {
  const draft = '{"type": "invoice", "currency": "GBP", "total": "70.15"}';
  const { line, text, calls, server } = await answered(t, { own: OWN, draft });
  assert.equal(text, OWN);
  assert.deepEqual(calls, ['scoring', 'continuation']);
  const kept = '{"type": "invoice", "currency": "GBP", "total": "';
  assert.equal(givenIn(server.requests[1] ?? assert.fail()), kept);
  const stage = stageIn(line);
  assert.deepEqual([stage.ask, stage.kept_characters], ['verify', kept.length]);
  const { usage, choices } = bodyOf(line);
  assert.equal((usage as JsonObject)['completion_tokens'], tokensOf(OWN).length);
  assert.equal((choices as JsonObject[])[0]?.['finish_reason'], 'stop');
  assert.equal(stage.usage.output_tokens, 1 + tokensOf('10.15"}').length, 'the token behind the draft is paid for');
});

test('the right beginning of an answer that ends too early is gone on with', async (t) => {
  const { text, calls } = await answered(t, {
    own: 'It is 12 pounds in all, and due.',
    draft: 'It is 12 pounds in all',
  });
  assert.equal(text, 'It is 12 pounds in all, and due.');
  assert.deepEqual(calls, ['scoring', 'continuation']);
});

test('a draft that was given up is verified as far as it came', async (t) => {
  const stopped = draftSaying('{"type": "invoice", "currency": "GBP", "total": "7', {
    score: null,
    confidence: null,
    stopped: { scoreAtMost: -2, isEstimated: true },
  });
  const { text, line } = await answered(t, { own: OWN, draft: stopped });
  assert.equal(text, OWN);
  assert.equal(stageIn(line).ask, 'verify');
});

test('a limit of tokens is that of the joined answer', async (t) => {
  const own = 'one two three four five six seven eight nine ten';
  const draft = 'one two three four five six eight';
  const limited = await answered(t, { own, draft, body: { max_tokens: 15 } });
  assert.equal(limited.text, 'one two three four five six seven eight');
  assert.equal(limited.server.requests[1]?.body['max_tokens'], 4);
  assert.equal((bodyOf(limited.line)['choices'] as JsonObject[])[0]?.['finish_reason'], 'length');
  const newer = await answered(t, { own, draft, body: { max_completion_tokens: 13 } });
  assert.equal(newer.server.requests[1]?.body['max_completion_tokens'], 2);
  const used = await answered(t, { own, draft, body: { max_tokens: 5 } });
  assert.equal(used.text, 'one two three');
  assert.deepEqual(used.calls, ['scoring']);
  assert.equal((bodyOf(used.line)['choices'] as JsonObject[])[0]?.['finish_reason'], 'length');
});

test('an answer stops where its request says, also across the place where it was joined', async (t) => {
  const own = 'The total of it all is 12 END and more';
  const draft = 'The total of it all is 13 END and more';
  const { text } = await answered(t, { own, draft, body: { stop: ['2 EN'] } });
  assert.equal(text, 'The total of it all is 1');
});

test('a response format is not asked of the continuation, and the joined answer is held to it', async (t) => {
  const schema = { type: 'object', properties: { total: { type: 'string' } }, required: ['total'] };
  const format = { response_format: { type: 'json_schema', json_schema: { name: 'r', schema } } };
  const draft = '{"total": "7"}';
  const good = await answered(t, { own: '{"total": "8"}', draft, body: format });
  assert.equal(good.text, '{"total": "8"}');
  assert.deepEqual(
    good.server.requests.map(({ body }) => 'response_format' in body),
    [false, false],
  );
  const bad = await answered(t, { own: '{"total": 8}', draft: '{"total": "7"}', body: format });
  assert.deepEqual(bad.calls, ['scoring', 'continuation', 'answer']);
  assert.deepEqual([stageIn(bad.line).ask, stageIn(bad.line).ask_reason], ['answer', 'not_joined']);
  assert.equal('response_format' in (bad.server.requests[2]?.body ?? {}), true);
});

test('with a tolerance a token that is nearly as likely as the best one stands', async (t) => {
  const own = 'It costs 12 pounds in all';
  const draft = 'It costs 12 quid in all';
  const scores = (ratio: number) => (entries: readonly unknown[], body: JsonObject) => {
    assert.equal(body['prompt_logprobs'], 1);
    return entries.map((entry) => {
      const [[id, token] = assert.fail()] = Object.entries((entry ?? { 1: { rank: 1, logprob: 0 } }) as JsonObject);
      const { rank, decoded_token: text } = token as JsonObject;
      if (entry === null || rank === 1) return entry as JsonObject | null;
      const isLast = text === 'quid';
      const logprob = isLast ? Math.log(0.4 * ratio) : Math.log(0.4);
      const alone = { [id]: { logprob: Math.log(0.4), rank: 1, decoded_token: text ?? null } };
      if (!isLast) return alone;
      return {
        '3': { logprob: Math.log(0.4), rank: 1, decoded_token: 'pounds' },
        '9': { logprob, rank: 2, decoded_token: 'quid' },
      };
    });
  };
  const ends = () => null;
  const kept = await answered(t, {
    own,
    draft,
    verify: ', verify: { tolerance: 0.3 }',
    scores: scores(0.8),
    scoring: ends,
  });
  assert.ok(kept.text?.startsWith('It costs 12 quid'), kept.text ?? '');
  const refused = await answered(t, { own, draft, verify: ', verify: { tolerance: 0.1 }', scores: scores(0.8) });
  assert.equal(refused.text, own);
});

const whole = async (t: TestContext, setting: Setting, reason: string, calls: readonly string[]): Promise<void> => {
  const {
    line,
    text,
    calls: made,
    ending,
  } = await answered(t, { own: OWN, draft: OWN.replace('10', '70'), ...setting });
  assert.equal(text, setting.own ?? OWN, 'the expert’s own whole answer');
  assert.deepEqual([stageIn(line).ask, stageIn(line).ask_reason], ['answer', reason]);
  assert.deepEqual(made, calls);
  const extra = ending.kind === 'answered' ? (ending.extra ?? []) : [];
  assert.equal(extra.length, calls.length === 1 ? 0 : calls.length, 'every call is in the account');
};

test('what cannot be verified is asked for whole, with the reason', async (t) => {
  await whole(t, { found: { ...FOUND, scoring: 'no' } }, 'not_scored', ['answer']);
  await whole(t, { found: { ...FOUND, continuation: 'no' } }, 'not_continued', ['answer']);
  await whole(t, { body: { temperature: 0.7 } }, 'request_sampled', ['answer']);
  await whole(t, { draft: draftOf({ answer: null, reason: 'draft_failed' }) }, 'no_draft', ['answer']);
  await whole(t, { draft: 'Sorry, I cannot say.' }, 'nothing_kept', ['scoring', 'answer']);
});

type Entry = Record<string, { logprob?: unknown; rank?: unknown; decoded_token?: unknown }> | null;
const changed = (change: (entries: Entry[]) => unknown) => (entries: readonly unknown[]) =>
  change(structuredClone(entries) as Entry[]) as never;
const withFields = (fields: Record<string, unknown>) =>
  changed((entries) =>
    entries.map(
      (one) => one && Object.fromEntries(Object.entries(one).map(([id, token]) => [id, { ...token, ...fields }])),
    ),
  );

test('a server that scores nonsense is found out, and the document gets an ordinary answer', async (t) => {
  const nonsense: Record<string, VerifyingOptions['scores']> = {
    'too few': changed((entries) => entries.slice(0, -2)),
    'too many': changed((entries) => [...entries, ...entries]),
    none: () => [],
    'only nulls': changed((entries) => entries.map(() => null)),
    'no list': () => 'yes',
    'other text': withFields({ decoded_token: 'x' }),
    'no number': withFields({ logprob: 'NaN' }),
    'a positive log-prob': withFields({ logprob: 0.7 }),
    'no rank': withFields({ rank: null }),
    'a rank of 0': withFields({ rank: 0 }),
    shifted: changed((entries) => [...entries.slice(1), null]),
  };
  for (const [name, scores] of Object.entries(nonsense)) {
    await t.test(name, (each) =>
      whole(each, { scores: scores ?? assert.fail() }, 'scoring_failed', ['scoring', 'answer']),
    );
  }
  await t.test('without any scores', (one) =>
    whole(one, { scoring: () => ({ kind: 'completion', text: 'x' }) }, 'scoring_failed', ['scoring', 'answer']),
  );
  await t.test('a refusal', (one) =>
    whole(one, { scoring: () => ({ kind: 'status', status: 400 }) }, 'scoring_failed', ['scoring', 'answer']),
  );
});

test('a mark at the beginning of the text that is scored does no harm', async (t) => {
  const scores = changed(([first = null, , ...others]) => [
    first,
    { '1': { logprob: -5, rank: 40, decoded_token: '<s>' } },
    ...others,
  ]);
  const { text, line } = await answered(t, { own: OWN, draft: OWN.replace('10', '70'), scores });
  assert.deepEqual([text, stageIn(line).ask], [OWN, 'verify']);
});

test('a server that does not go on from what it was given is found out', async (t) => {
  const made = ['scoring', 'continuation', 'answer'];
  await t.test('it begins anew, in JSON: the answer is whole', async (one) => {
    const { text, line } = await answered(one, { own: OWN, draft: OWN.replace('10', '70'), continuation: () => OWN });
    assert.equal(text, OWN);
    assert.equal(stageIn(line).ask, 'verify');
  });
  const otherwise: Record<string, string> = {
    'it begins anew, otherwise': '{"type": "receipt", "total": "1"}',
    'it talks': 'Is there anything else I can help you with?',
    'it says nothing': '',
    'a mark before it': '<s>10.15"}',
    'it never ends': '10.15", "more": "',
  };
  for (const [name, said] of Object.entries(otherwise)) {
    await t.test(name, (one) => whole(one, { continuation: () => said }, 'not_joined', made));
  }
  await t.test('a refusal', (one) =>
    whole(one, { continuation: () => ({ kind: 'status', status: 422 }) }, 'not_joined', made),
  );
});

test('a call that breaks off is the server’s fault first: the document is asked again, and whole then', async (t) => {
  const { run } = await expertOf(t, { own: OWN, scoring: () => ({ kind: 'reset', when: 'before_headers' }) });
  const { outcome } = await run(OWN);
  assert.ok(outcome.kind === 'unproven' || outcome.kind === 'hold', outcome.kind);
});

test('a scoring that the server cannot do is no attempt of the document: the whole is asked for at once', async (t) => {
  for (const status of [500, 404]) {
    const setting = { own: OWN, draft: OWN, scoring: () => ({ kind: 'status', status }) as const };
    const { calls, line, text } = await answered(t, setting);
    assert.deepEqual([text, stageIn(line).ask_reason, stageIn(line).attempts], [OWN, 'scoring_failed', 1]);
    assert.deepEqual(calls, ['scoring', 'answer'], String(status));
  }
});

const SCHEMA = { type: 'object', properties: { total: { type: 'string' } }, required: ['total'] };
const formatOf = (schema: JsonObject): JsonObject => ({
  response_format: { type: 'json_schema', json_schema: { name: 'r', schema } },
});

test('a draft that is not what the request asks for is never the answer, however likely the model finds it', async (t) => {
  const prose = 'The sum of it is ten pounds.';
  const unfit = await answered(t, { own: prose, draft: prose, body: formatOf(SCHEMA) });
  assert.deepEqual([unfit.calls, stageIn(unfit.line).ask_reason], [['answer'], 'draft_unfit']);
  const number = '{"total": 10}';
  const wrong = await answered(t, { own: number, draft: number, body: formatOf(SCHEMA) });
  assert.deepEqual([wrong.calls, stageIn(wrong.line).ask_reason], [['scoring', 'answer'], 'not_joined']);
});

test('a joined answer is held to all that its schema says, or not joined at all', async (t) => {
  const currency = { $ref: '#/$defs/currency' };
  const schema = {
    type: 'object',
    properties: { total: { type: 'string' }, currency },
    required: ['total', 'currency'],
    $defs: { currency: { enum: ['GBP', 'EUR'] } },
  };
  const body = formatOf(schema);
  const draft = '{"currency": "EUR", "total": "1"}';
  const right = '{"currency": "GBP", "total": "1"}';
  assert.equal((await answered(t, { own: right, draft, body })).text, right);
  const wrong = await answered(t, { own: '{"currency": "Pounds", "total": "1"}', draft, body });
  assert.deepEqual(
    [wrong.calls, stageIn(wrong.line).ask_reason],
    [['scoring', 'continuation', 'answer'], 'not_joined'],
  );
  const pattern = formatOf({ ...SCHEMA, properties: { total: { type: 'string', pattern: '^[0-9]+$' } } });
  const more = await answered(t, { own: draft, draft, body: pattern });
  assert.deepEqual([more.calls, stageIn(more.line).ask_reason], [['answer'], 'request_unsuited']);
});

test('a stop string of the request that the drafter did not heed ends the answer all the same', async (t) => {
  const own = 'The first line of it all\nand the second';
  const { text, calls, line } = await answered(t, { own, draft: own, body: { stop: ['\n'] } });
  assert.deepEqual([text, calls], ['The first line of it all', ['scoring']]);
  assert.equal((bodyOf(line)['choices'] as JsonObject[])[0]?.['finish_reason'], 'stop');
});

test('calls in vain before a refusal are paid for, and counted', async (t) => {
  const { run } = await expertOf(t, { own: OWN, scores: () => [], refusesWhole: true });
  const { outcome, document } = await run(OWN);
  assert.ok(outcome.kind === 'settle');
  const { counts } = resultOf(document, outcome.ending);
  assert.ok((counts['test/2/inputTokens'] ?? 0) > 0);
});

test('a server whose continuations never fit is left alone with them', async (t) => {
  const { server, run, notices } = await expertOf(t, { own: OWN, continuation: () => 'Is there more?' });
  for (let document = 0; document < 8; document += 1) await run(OWN.replace('10', '70'));
  assert.equal(callsOf(server.requests).filter((kind) => kind === 'continuation').length, 5);
  assert.equal(notices.length, 1);
});

test('documents that cannot be verified do not keep others from it', async (t) => {
  const { server, run, notices } = await expertOf(t, { own: OWN });
  for (let document = 0; document < 8; document += 1) await run(` ${OWN}`);
  assert.deepEqual(
    callsOf(server.requests),
    Array.from({ length: 8 }, () => 'answer'),
  );
  assert.deepEqual(notices, []);
});

test('a server whose scores are nonsense each time is left alone with it for a while, which is told once', async (t) => {
  const { server, run, notices } = await expertOf(t, { own: OWN, scores: () => [] });
  for (let document = 0; document < 8; document += 1) {
    const { outcome } = await run(OWN);
    assert.equal(outcome.kind, 'settle');
  }
  assert.deepEqual(callsOf(server.requests).filter((kind) => kind === 'scoring').length, 5);
  assert.deepEqual(notices, [{ kind: 'drafts_paused', model: 'l', said: 'no prompt_logprobs' }]);
});

const BY_IDS: ModelFindings = { ...NOTHING_FOUND, scoring: 'echo', continuation: 'new_text', prompt_ids: true };

test('a server that scores completions only scores the tokens that its chat says it becomes', async (t) => {
  const kept = await answered(t, { own: OWN, draft: OWN, found: BY_IDS, byIds: true });
  assert.deepEqual([kept.text, stageIn(kept.line).kept_characters], [OWN, OWN.length]);
  const [told, echo] = kept.server.requests;
  assert.deepEqual([told?.body['return_prompt_token_ids'], told?.body['max_tokens']], [true, 1]);
  assert.ok(!('prompt_logprobs' in (told?.body ?? {})));
  const { prompt, echo: isEchoed, logprobs } = echo?.body ?? {};
  assert.deepEqual([Array.isArray(prompt), isEchoed, logprobs], [true, true, 1]);
  assert.equal(kept.server.requests.length, 2);
  assert.ok(!JSON.stringify(kept.line).includes('prompt_token_ids'));
  const tokens = tokensOf(OWN).length;
  const { usage } = stageIn(kept.line);
  const read = tokensOf('How much is it?').length + 2 + tokens;
  assert.deepEqual([usage.input_tokens, usage.output_tokens], [2 * read, 2], 'both calls are paid for');
  const draft = OWN.replace('10.15', '70.15');
  const joined = await answered(t, { own: OWN, draft, found: BY_IDS, byIds: true });
  assert.equal(joined.text, OWN);
  assert.equal(stageIn(joined.line).kept_characters, OWN.indexOf('10.15'));
});

test('what such a server says of the tokens is believed no more than elsewhere', async (t) => {
  for (const [name, byIds] of [
    ['no log-probs', () => null],
    ['a list too short', ({ tokens, ...rest }: JsonObject) => ({ ...rest, tokens: (tokens as string[]).slice(1) })],
    ['another text', ({ tokens, ...rest }: JsonObject) => ({ ...rest, tokens: (tokens as string[]).map(() => 'x') })],
    [
      'above 0',
      ({ tokens, ...rest }: JsonObject) => ({
        ...rest,
        tokens: tokens ?? null,
        token_logprobs: (tokens as string[]).map(() => 1),
      }),
    ],
    ['no alternatives', (logprobs: JsonObject) => ({ ...logprobs, top_logprobs: null })],
  ] as const) {
    const { text, line } = await answered(t, { own: OWN, draft: OWN, found: BY_IDS, byIds });
    assert.deepEqual([text, stageIn(line).ask_reason], [OWN, 'scoring_failed'], name);
  }
});
