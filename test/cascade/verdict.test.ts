import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { runStage } from '@spillway/cascade';
import {
  charged,
  NOTHING_FOUND,
  readResultLine,
  resultOf,
  type CascadeDocument,
  type Draft,
  type Ending,
  type JsonObject,
  type ModelFindings,
  type ResultLine,
} from '@spillway/core';
import { answerOf, draftOf, failedDraftOf, jobOf } from '../support/jobs.ts';
import { startModelServer, type Scripted } from '../support/model-server.ts';
import { isVerdictCall, says, verdictCallsOf } from '../support/verdict-server.ts';
import { delivered, openStages } from '../support/stage-models.ts';

const FOUND: ModelFindings = { ...NOTHING_FOUND, log_probs: true };
const OWN = 'It is 10.15.';

type Setting = {
  /** What the server says when it is asked whether a draft is right. */
  readonly verdict?: () => Scripted;
  /** What it says when it is asked for its answer. */
  readonly answer?: () => Scripted;
  readonly draft?: Draft;
  readonly body?: JsonObject;
  readonly found?: ModelFindings;
  readonly shadow?: boolean;
};

const BODY = {
  id: 'd1',
  choices: [{ index: 0, message: { role: 'assistant', content: 'It is 12.' }, finish_reason: 'stop' }],
};
const DRAFT = draftOf({ answer: answerOf({ body: BODY, requestId: 'req_of_the_draft' }) });

/** An expert that is asked for verdicts, behind a server, and what it tells. */
async function expertOf(t: TestContext, { verdict = () => says('Y', 0.95), ...setting }: Setting) {
  const { answer = (): Scripted => ({ kind: 'completion', text: OWN }), found = FOUND, shadow = false } = setting;
  const server = await startModelServer({
    role: 'expert',
    answer: ({ body }) => (isVerdictCall(body) ? verdict() : answer()),
  });
  t.after(() => server[Symbol.asyncDispose]());
  const { baseURL } = server;
  const { rules, models, notices } = openStages(t, {
    small: baseURL,
    large: baseURL,
    ofLarge: ', max_attempts: 3',
    ofCascade: ', ask: verdict, verdict: { accept_at: 0.9 }',
    shadow,
  });
  const [, model] = models;
  model.know(found);
  const first = (draft = setting.draft ?? DRAFT): CascadeDocument => {
    const messages = [{ role: 'user', content: 'How much is it?' }];
    const job = jobOf({ body: { model: 'test', messages, ...setting.body }, stage: 1, drafts: [draft] });
    return { job, rules };
  };
  const run = async (document = first()) => ({
    document,
    outcome: await runStage(model, document, { signal: new AbortController().signal, stalls: 0 }),
  });
  return { server, model, run, notices, rules };
}

type Settled = { line: ResultLine; text: string | null; calls: string[]; ending: Ending };

async function settled(t: TestContext, setting: Setting): Promise<Settled> {
  const { server, run } = await expertOf(t, setting);
  const { document, outcome } = await run();
  assert.ok(outcome.kind === 'settle', JSON.stringify(outcome));
  const { line, text } = delivered(document, outcome.ending);
  return { line, text, calls: verdictCallsOf(server.requests), ending: outcome.ending };
}

const stageIn = ({ cascade }: ResultLine) => cascade?.stages[1] ?? assert.fail();

test('a draft that the expert holds for right is final, as it was, after one token', async (t) => {
  const { line, text, calls } = await settled(t, {});
  assert.equal(text, 'It is 12.');
  assert.deepEqual(calls, ['verdict']);
  assert.deepEqual(line.response?.body, BODY);
  assert.equal(line.response?.request_id, 'req_of_the_draft');
  assert.deepEqual(
    [line.cascade?.stage, line.cascade?.model, line.cascade?.role, line.cascade?.by],
    [1, 'small', 'drafter', 'verdict'],
  );
  const { ask, outcome, signal, confidence, accept_at: acceptAt, attempts, verdict_on: on } = stageIn(line);
  assert.deepEqual(
    [ask, outcome, signal, acceptAt, attempts, on],
    ['verdict', 'accepted', 'self_assessment', 0.9, 1, 1],
  );
  assert.ok(confidence !== null && Math.abs(confidence - 0.95) < 1e-6, String(confidence));
});

test('below accept_at the expert answers, in the same attempt, and both calls are paid for', async (t) => {
  const { line, text, calls, ending } = await settled(t, { verdict: () => says('Y', 0.6) });
  assert.equal(text, OWN);
  assert.deepEqual(calls, ['verdict', 'answer']);
  assert.deepEqual([line.cascade?.stage, line.cascade?.by], [2, undefined]);
  const { ask, ask_reason: reason, outcome, confidence, attempts, usage } = stageIn(line);
  assert.deepEqual([ask, reason, outcome, attempts], ['verdict', undefined, 'answered', 1]);
  assert.ok(confidence !== null && Math.abs(confidence - 0.6) < 1e-6);
  assert.ok(ending.kind === 'answered' && ending.extra?.length === 2);
  const sum = (key: 'inputTokens' | 'outputTokens'): number =>
    (ending.extra ?? []).reduce((all, call) => all + call[key], 0);
  assert.deepEqual([usage.input_tokens, usage.output_tokens], [sum('inputTokens'), sum('outputTokens')]);
  assert.deepEqual(
    ending.extra?.map(({ purpose }) => purpose),
    ['verdict', 'whole_answer'],
  );
});

test('in a shadow run the expert is asked for both, so that the line has both', async (t) => {
  const { line, text, calls } = await settled(t, { shadow: true });
  assert.deepEqual([text, calls], [OWN, ['verdict', 'answer']]);
  const { ask, outcome, score, confidence, verdict_on: on } = stageIn(line);
  assert.deepEqual([ask, outcome, on], ['verdict', 'answered', 1]);
  assert.equal(confidence, score);
  assert.ok(Number(score) > 0.9);
  assert.equal(line.cascade?.stages[0]?.draft?.text, 'It is 12.');
});

const whole = async (t: TestContext, setting: Setting, reason: string, calls: readonly string[]): Promise<void> => {
  const { line, text, calls: made, ending } = await settled(t, setting);
  assert.equal(text, OWN);
  const { ask, ask_reason: why, score, signal, verdict_on: on } = stageIn(line);
  assert.deepEqual([ask, why, score, signal, on], ['answer', reason, null, 'self_assessment', undefined]);
  assert.deepEqual(made, calls);
  const extra = ending.kind === 'answered' ? (ending.extra ?? []) : [];
  assert.equal(extra.length, calls.length === 1 ? 0 : calls.length, 'every call is in the account');
};

test('where no verdict can be had the expert answers, and the line says why', async (t) => {
  const both = ['verdict', 'answer'];
  await t.test('neither yes nor no', (one) => whole(one, { verdict: () => says('Well', 0.9) }, 'verdict_failed', both));
  await t.test('no log-probs', (one) =>
    whole(one, { verdict: () => ({ kind: 'completion', text: 'Y', logprobs: null }) }, 'verdict_failed', both),
  );
  await t.test('a refusal', (one) =>
    whole(one, { verdict: () => ({ kind: 'status', status: 400 }) }, 'verdict_failed', both),
  );
  await t.test('no text', (one) =>
    whole(one, { verdict: () => ({ kind: 'completion', text: '', logprobs: null }) }, 'verdict_failed', both),
  );
  await t.test('a server that is known to give no log-probs', (one) =>
    whole(one, { found: { ...FOUND, log_probs: false } }, 'no_log_probs', ['answer']),
  );
  await t.test('a model that thinks', (one) =>
    whole(one, { found: { ...FOUND, reasons: true } }, 'model_reasons', ['answer']),
  );
  await t.test('no draft', (one) => whole(one, { draft: failedDraftOf() }, 'no_draft', ['answer']));
  await t.test('a draft that was cut short', (one) => {
    const choices = [{ index: 0, message: { role: 'assistant', content: 'It is' }, finish_reason: 'length' }];
    const draft = draftOf({ answer: answerOf({ body: { choices } }), reason: 'truncated' });
    return whole(one, { draft }, 'draft_unfit', ['answer']);
  });
});

test('a call that breaks is the server’s fault first: the document is asked again, and whole', async (t) => {
  const { run, rules, server } = await expertOf(t, { verdict: () => ({ kind: 'reset', when: 'after_headers' }) });
  const { outcome } = await run();
  assert.ok(outcome.kind === 'unproven', outcome.kind);
  const job = charged(outcome.job, 3);
  const { outcome: next, document } = await run({ job, rules });
  assert.ok(next.kind === 'settle');
  const line = readResultLine(resultOf(document, next.ending).line.text) ?? assert.fail();
  assert.deepEqual([stageIn(line).ask_reason, stageIn(line).attempts], ['failed_before', 2]);
  assert.deepEqual(verdictCallsOf(server.requests), ['verdict', 'answer']);
});

test('where a server takes no more, or the answer fails, nothing is settled, and both are asked for again', async (t) => {
  const full = await expertOf(t, { verdict: () => ({ kind: 'status', status: 429 }) });
  assert.equal((await full.run()).outcome.kind, 'hold');
  let isFull = true;
  const later = await expertOf(t, {
    verdict: () => says('N', 0.9),
    answer: () => (isFull ? { kind: 'status', status: 429 } : { kind: 'completion', text: OWN }),
  });
  const { document, outcome } = await later.run();
  assert.equal(outcome.kind, 'hold');
  isFull = false;
  const again = await later.run(document);
  assert.equal(again.outcome.kind, 'settle');
  assert.deepEqual(verdictCallsOf(later.server.requests), ['verdict', 'answer', 'verdict', 'answer']);
});

test('a server that says nothing readable is left alone with it for a while, which is told once', async (t) => {
  const { server, run, notices } = await expertOf(t, { verdict: () => says('Hm', 0.9) });
  const reasons = new Set<string | undefined>();
  for (let at = 0; at < 8; at += 1) {
    const { document, outcome } = await run();
    assert.ok(outcome.kind === 'settle');
    reasons.add(stageIn(readResultLine(resultOf(document, outcome.ending).line.text) ?? assert.fail()).ask_reason);
  }
  assert.deepEqual([...reasons], ['verdict_failed', 'verdict_paused']);
  assert.equal(verdictCallsOf(server.requests).filter((kind) => kind === 'verdict').length, 5);
  assert.deepEqual(notices, [{ kind: 'verdicts_paused', model: 'l', said: 'neither yes nor no' }]);
});

test('the question asks the server for log-probs with alternatives, whatever the request has', async (t) => {
  const { server, run } = await expertOf(t, {
    body: { tools: [], response_format: { type: 'json_object' }, max_tokens: 500, temperature: 1, stop: ['x'] },
  });
  await run();
  const [{ body } = assert.fail()] = server.requests;
  assert.deepEqual([body['logprobs'], body['top_logprobs'], body['max_tokens'], body['temperature']], [true, 10, 1, 0]);
  for (const gone of ['tools', 'response_format', 'stop']) assert.equal(gone in body, false, gone);
});
