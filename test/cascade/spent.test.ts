import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { runStage, type StageOutcome } from '@spillway/cascade';
import {
  charged,
  nextStageJob,
  NOTHING_FOUND,
  withLostCall,
  type CascadeDocument,
  type DocumentJob,
} from '@spillway/core';
import { jobOf } from '../support/jobs.ts';
import { startModelServer, type ModelRequest, type Scripted } from '../support/model-server.ts';
import { delivered, openStages } from '../support/stage-models.ts';

const usage = (input: number, output: number) => ({ prompt_tokens: input, completion_tokens: output, total_tokens: 0 });
const tokens = (inputTokens: number, outputTokens: number) => ({
  inputTokens,
  cachedTokens: 0,
  outputTokens,
  reasoningTokens: 0,
});
const says = (text: string, input: number, output: number): Scripted => ({
  kind: 'completion',
  text,
  usage: usage(input, output),
});
const isWhole = ({ body }: ModelRequest): boolean => !JSON.stringify(body['messages']).includes('wanted now');

type Setting = { readonly expert: (request: ModelRequest, call: number) => Scripted; readonly attempts?: number };

/** A document whose draft has one unsure value, at an expert that is asked for it and says something else. */
async function escalated(t: TestContext, { expert, attempts = 2 }: Setting) {
  let calls = 0;
  const small = await startModelServer({
    role: 'drafter',
    answer: () => ({
      ...says('{"a": "x", "b": "y"}', 5, 3),
      logprobs: {
        content: ['{"a": "', 'x', '", "b": "', 'y', '"}'].map((token) => ({
          token,
          logprob: token === 'y' ? -1 : -0.001,
          bytes: null,
          top_logprobs: [],
        })),
      },
    }),
  });
  const large = await startModelServer({ role: 'expert', answer: (request) => expert(request, (calls += 1)) });
  t.after(() => Promise.all([small, large].map((server) => server[Symbol.asyncDispose]())));
  const { rules, models } = openStages(t, {
    small: small.baseURL,
    large: large.baseURL,
    ofLarge: `, max_attempts: ${attempts}`,
    ofCascade: ', ask: fields',
  });
  models[1].know(NOTHING_FOUND);
  const schema = { type: 'object', properties: { a: { type: 'string' }, b: { type: 'string' } }, required: ['a', 'b'] };
  const messages = [{ role: 'user', content: 'What is it?' }];
  const format = { type: 'json_schema', json_schema: { name: 'x', schema } };
  const job = jobOf({ body: { model: 'test', messages, response_format: format } });
  const run = (own: DocumentJob): Promise<StageOutcome> => {
    const document: CascadeDocument = { rules, job: own };
    const options = { signal: new AbortController().signal, stalls: 0 };
    return runStage(models[own.stage === 0 ? 0 : 1], document, options);
  };
  const drafted = await run(job);
  assert.ok(drafted.kind === 'escalate');
  const last = (own: DocumentJob, outcome: StageOutcome) => {
    assert.ok(outcome.kind === 'settle', JSON.stringify(outcome));
    return delivered({ rules, job: own }, outcome.ending).line;
  };
  return { run, last, handedOff: nextStageJob({ rules, job: drafted.job }, Date.now()) };
}

/** As a job goes through Redis. */
const stored = (job: DocumentJob): DocumentJob => JSON.parse(JSON.stringify(job)) as DocumentJob;

test('what a call took before another one was refused is counted with the answer that comes later', async (t) => {
  const { run, last, handedOff } = await escalated(t, {
    expert: (request, call) => {
      if (!isWhole(request)) return says('no JSON', 100 + call, 7);
      return call === 2 ? { kind: 'status', status: 429 } : says('{"a": "x", "b": "z"}', 50, 9);
    },
  });
  const held = await run(handedOff);
  assert.ok(held.kind === 'hold');
  assert.deepEqual(held.spent, tokens(101, 7));
  const again = stored(withLostCall(handedOff, held, 'backpressure'));
  assert.deepEqual(again.spent, tokens(101, 7));
  const { cascade } = last(again, await run(again));
  const { usage: paid } = cascade?.stages[1] ?? assert.fail();
  assert.deepEqual([paid.input_tokens, paid.output_tokens], [101 + 103 + 50, 7 + 7 + 9]);
});

test('so it is with a failure whose fault is not known, and with one that is the last', async (t) => {
  const { run, last, handedOff } = await escalated(t, {
    expert: (request) => (isWhole(request) ? { kind: 'status', status: 500 } : says('no JSON', 100, 7)),
  });
  const failed = await run(handedOff);
  assert.ok(failed.kind === 'unproven' && !failed.isLast);
  const second = stored(charged(failed.job, 2));
  assert.deepEqual(second.spent, tokens(100, 7));
  const final = await run(second);
  assert.ok(final.kind === 'unproven' && final.isLast);
  const ended = stored(final.job);
  const { cascade, error } = last(ended, await run(ended));
  const { usage: paid, outcome } = cascade?.stages[1] ?? assert.fail();
  assert.deepEqual([outcome, error], ['failed', null]);
  assert.deepEqual([paid.input_tokens, paid.output_tokens], [100, 7], 'the second attempt asked for the whole at once');
});

test('a stage that follows begins with nothing spent', async (t) => {
  const { handedOff } = await escalated(t, { expert: () => says('x', 1, 1) });
  assert.equal(handedOff.spent, undefined);
  assert.ok(!('spent' in stored(handedOff)));
});
