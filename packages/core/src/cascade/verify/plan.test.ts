import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answerOf, draftOf, FAILURE, attemptOf, jobOf } from '../../../../../test/support/jobs.ts';
import type { DocumentJob, Draft } from '../../document/job.ts';
import type { JsonObject } from '../../text/json.ts';
import { planVerify, type Verifiable } from './plan.ts';

const MESSAGES = [{ role: 'user', content: 'How much?' }];
const BODY = { messages: MESSAGES, temperature: 0 };

const said = (content: string | null, finish = 'stop'): JsonObject => ({
  choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: finish }],
});

const draft = (text: string | null, given: Partial<Draft> = {}, finish = 'stop'): Draft =>
  draftOf({ answer: answerOf({ body: said(text, finish) }), ...given });

/** A document with one draft, at a server that scores and continues, unless a test says otherwise. */
function planOf(given: Partial<Verifiable> & { job?: DocumentJob; body?: JsonObject; drafts?: readonly Draft[] } = {}) {
  const { body = BODY, drafts = [draft('It is 12.')] } = given;
  const { job = jobOf({ body, drafts, stage: drafts.length }) } = given;
  return planVerify({
    job,
    prepared: body,
    tolerance: null,
    findings: { scoring: 'prompt_logprobs', continuation: 'new_text' },
    ...given,
  });
}

const reasonOf = (...given: Parameters<typeof planOf>): string | null => {
  const plan = planOf(...given);
  return plan.kind === 'answer' ? plan.reason : null;
};

test('the latest draft that is text is verified, and whether it came to its end is known', () => {
  const two = [draft('first'), draft('second', {}, 'length')];
  assert.deepEqual(planOf(), {
    kind: 'verify',
    draft: { text: 'It is 12.', isWhole: true },
    scoring: 'prompt_logprobs',
  });
  assert.deepEqual(planOf({ drafts: two }), {
    kind: 'verify',
    draft: { text: 'second', isWhole: false },
    scoring: 'prompt_logprobs',
  });
  const stopped = draft('It is', { stopped: { scoreAtMost: -1, isEstimated: true } });
  assert.deepEqual(planOf({ drafts: [draft('first'), stopped] }), {
    kind: 'verify',
    draft: { text: 'It is', isWhole: false },
    scoring: 'prompt_logprobs',
  });
});

test('a draft that says nothing is passed over, and without any the whole answer is asked for', () => {
  const none: Draft[] = [
    draft(null),
    draft('  '),
    draft('I will not', { reason: 'refused' }),
    draft('…', { reason: 'tool_call' }),
    draft('<think>', { reason: 'unclosed_thought' }),
    draftOf({ answer: null, reason: 'draft_failed' }),
    draftOf({ answer: answerOf({ status: 400, body: { error: {} } }), reason: 'drafter_rejected' }),
    draft('given up', { stopped: { scoreAtMost: null, isEstimated: false } }),
  ];
  for (const one of none) {
    assert.equal(reasonOf({ drafts: [one] }), 'no_draft', JSON.stringify(one));
    const plan = planOf({ drafts: [draft('before'), one] });
    assert.equal(plan.kind === 'verify' && plan.draft.text, 'before');
  }
});

test('what is drawn by chance is verified only where a tolerance says so', () => {
  for (const temperature of [undefined, 0.2, 1, null]) {
    const body = { messages: MESSAGES, ...(temperature === undefined ? {} : { temperature }) };
    assert.equal(reasonOf({ body }), 'request_sampled');
    assert.equal(reasonOf({ body, tolerance: 0.2 }), null);
  }
});

test('requests whose answer is more than its most likely text are asked about whole', () => {
  const unsuited: JsonObject[] = [
    { n: 2 },
    { tools: [{ type: 'function' }] },
    { audio: { voice: 'a' } },
    { logprobs: true },
    { presence_penalty: 0.5 },
    { frequency_penalty: -1 },
    { repetition_penalty: 1.1 },
    { logit_bias: { '12': 5 } },
    { guided_choice: ['a', 'b'] },
    { guided_json: { type: 'object' } },
    { grammar: 'root ::= "a"' },
    { structured_outputs: { regex: 'a+' } },
    { response_format: { type: 'structural_tag' } },
    { response_format: { type: 'json_schema', json_schema: { schema: { type: 'string', pattern: 'a' } } } },
    { allowed_token_ids: [1, 2] },
    { stop_token_ids: [7] },
    { include_stop_str_in_output: true },
    { logprobs: 0 },
    { prompt_logprobs: 0 },
    { continue_final_message: true, add_generation_prompt: false },
    { messages: [...MESSAGES, { role: 'assistant', content: 'It' }] },
    { messages: [] },
  ];
  for (const fields of unsuited) {
    assert.equal(reasonOf({ body: { ...BODY, ...fields } }), 'request_unsuited', JSON.stringify(fields));
  }
  const neutral = { n: 1, tools: [], logprobs: false, presence_penalty: 0, logit_bias: {}, repetition_penalty: 1 };
  assert.equal(reasonOf({ body: { ...BODY, ...neutral } }), null);
  const responses = jobOf({ endpoint: '/v1/responses', body: BODY, drafts: [], stage: 1 });
  assert.equal(reasonOf({ job: responses }), 'no_draft');
});

test('a model that thinks first is asked whole', () => {
  assert.equal(
    reasonOf({ findings: { scoring: 'prompt_logprobs', continuation: 'new_text', reasons: true } }),
    'model_reasons',
  );
  for (const fields of [
    { reasoning_effort: 'low' },
    { reasoning: { effort: 'high' } },
    { chat_template_kwargs: { enable_thinking: true } },
  ]) {
    assert.equal(reasonOf({ body: { ...BODY, ...fields } }), 'model_reasons', JSON.stringify(fields));
  }
  for (const fields of [{ reasoning_effort: 'none' }, { chat_template_kwargs: { enable_thinking: false } }]) {
    assert.equal(reasonOf({ body: { ...BODY, ...fields } }), null, JSON.stringify(fields));
  }
});

test('a server is asked for what its check saw it do', () => {
  assert.equal(reasonOf({ findings: null }), 'not_scored');
  assert.equal(reasonOf({ findings: { scoring: 'no', continuation: 'new_text' } }), 'not_scored');
  assert.equal(reasonOf({ findings: { scoring: 'echo', continuation: 'new_text' } }), 'not_scored');
  assert.equal(reasonOf({ findings: { scoring: 'prompt_logprobs', continuation: 'no' } }), 'not_continued');
  const byIds = { scoring: 'echo', continuation: 'new_text', prompt_ids: true } as const;
  assert.equal(reasonOf({ findings: byIds }), null);
  assert.equal(reasonOf({ findings: { ...byIds, continuation: 'no' } }), 'not_continued');
  const body = { prompt: 'How much?', temperature: 0 };
  const drafted = draftOf({ answer: answerOf({ body: { choices: [{ text: ' 12', finish_reason: 'stop' }] } }) });
  const job = jobOf({ endpoint: '/v1/completions', body, drafts: [drafted], stage: 1 });
  const plan = planOf({ job, prepared: body, findings: { scoring: 'echo', continuation: 'no' } });
  assert.deepEqual(plan, { kind: 'verify', draft: { text: ' 12', isWhole: true }, scoring: 'echo' });
  const tokens = { ...body, prompt: [1, 2, 3] };
  assert.equal(reasonOf({ job, prepared: tokens }), 'request_unsuited');
});

test('a document whose call failed, or that is too long, is asked about whole', () => {
  const drafts = [draft('It is 12.')];
  const failed = { body: BODY, drafts, stage: 1, attempts: [attemptOf({ error: FAILURE })] };
  assert.equal(reasonOf({ job: jobOf(failed) }), 'failed_before');
  assert.equal(reasonOf({ job: jobOf({ body: BODY, drafts, stage: 1, breaks: 1 }) }), 'failed_before');
  const long = { ...BODY, messages: [{ role: 'user', content: 'x'.repeat(200_000) }] };
  assert.equal(reasonOf({ body: long }), 'request_too_long');
});
