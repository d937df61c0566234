import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openStageModel, runStage, type StageModel } from '@spillway/cascade';
import {
  charged,
  isLastStage,
  nextStageJob,
  NOTHING_FOUND,
  readConfiguration,
  readResultLine,
  resultOf,
  roleOf,
  skipUnfit,
  snapshotRules,
  stageOf,
  tightened,
  type CascadeDocument,
  type CascadeRules,
  type Ending,
} from '@spillway/core';
import fc from 'fast-check';
import { jobOf } from '../support/jobs.ts';
import { startModelServer, type ModelServer } from '../support/model-server.ts';

const ROLES = ['drafter', 'middle', 'expert'] as const;
const MAX_ATTEMPTS = 2;

/** What a server may do with a document, and what must become of a drafting stage by it; null: it is accepted. */
const BEHAVIOURS = {
  confident: null,
  'status 500 x1': null,
  'garbage x1': null,
  unsure: 'low_confidence',
  nologprobs: 'no_logprobs',
  zerologprobs: 'zero_logprobs',
  truncate: 'truncated',
  filter: 'content_filter',
  refuse: 'refused',
  empty: 'empty_answer',
  tool: 'tool_call',
  cutlogprobs: 'partial_logprobs',
  laterzeros: 'zero_logprobs',
  modellength: 'truncated',
  think: null,
  openthink: null,
  harmony: null,
  unclosed: 'unclosed_thought',
  errorbeside: 'draft_failed',
  'status 400': 'drafter_rejected',
  'status 500': 'draft_failed',
  reset: 'draft_failed',
} as const;
type Behaviour = keyof typeof BEHAVIOURS;

/** What is no answer, where nobody judges it. */
const NO_ANSWERS: ReadonlySet<Behaviour> = new Set(['reset', 'unclosed']);
const FAILURES: ReadonlySet<Behaviour> = new Set(['status 400', 'status 500', 'errorbeside', ...NO_ANSWERS]);

let servers: readonly ModelServer[] = [];
let models: readonly StageModel[] = [];
let rules: CascadeRules;

before(async () => {
  servers = await Promise.all(ROLES.map((role) => startModelServer({ role })));
  const yaml = `models:
${servers.map(({ baseURL }, at) => `  m${at}: { base_url: "${baseURL}", model: m${at}, max_attempts: ${MAX_ATTEMPTS} }`).join('\n')}
cascades:
  test:
    stages: [{ model: m0, accept_at: 0.8 }, { model: m1, accept_at: 0.8 }, { model: m2 }]
`;
  const read = readConfiguration(yaml);
  assert.ok(read.kind === 'valid', JSON.stringify(read));
  const { configuration } = read;
  const snapshot = snapshotRules(configuration, new Map(), false)['test'];
  assert.ok(snapshot !== undefined);
  rules = snapshot;
  models = Object.entries(configuration.models).map(([name, spec], stage) =>
    openStageModel(
      { name, spec, apiKey: null },
      { role: roleOf(rules, stage), configuration, propagates: false, onCall: () => undefined },
    ),
  );
});

after(async () => {
  await Promise.all(models.map((model) => model[Symbol.asyncDispose]()));
  await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()));
});

/** Runs a document through its stages as a driver does that never waits. */
async function run(first: CascadeDocument): Promise<{ document: CascadeDocument; ending: Ending; attempts: number }> {
  let document: CascadeDocument = { rules: first.rules, job: skipUnfit(first, Date.now()) };
  for (let attempts = 1; ; attempts += 1) {
    // The last word of a stage whose attempts all failed takes no call any more.
    assert.ok(attempts <= ROLES.length * (MAX_ATTEMPTS + 1), 'attempts run out');
    const model = models[document.job.stage];
    assert.ok(model !== undefined);
    const outcome = await runStage(model, document, { signal: new AbortController().signal, stalls: 0 });
    if (outcome.kind === 'settle') return { document, ending: outcome.ending, attempts };
    assert.ok(outcome.kind === 'unproven' || outcome.kind === 'escalate', outcome.kind);
    // A job goes through Redis as JSON between two attempts.
    const job = JSON.parse(JSON.stringify(outcome.job)) as CascadeDocument['job'];
    document = {
      rules: first.rules,
      job:
        outcome.kind === 'unproven'
          ? charged(job, MAX_ATTEMPTS)
          : nextStageJob({ rules: first.rules, job }, Date.now()),
    };
  }
}

let prompts = 0;
const promptOf = (behaviours: readonly Behaviour[]): string => {
  prompts += 1;
  return `${behaviours.map((one, at) => `[[${ROLES[at]} ${one}]]`).join(' ')} ${prompts}`;
};

const behaviour = fc.constantFrom(...(Object.keys(BEHAVIOURS) as Behaviour[]));

test('whatever the servers do, a document ends once, in the first stage that is sure or in the last', async () => {
  const passages = fc.asyncProperty(
    fc.tuple(behaviour, behaviour, behaviour),
    fc.boolean(),
    async (behaviours, streams) => {
      // What is given up as it comes is decided as if it had come whole.
      for (const model of models) model.know({ ...NOTHING_FOUND, streamed_log_probs: streams });
      const messages = [{ role: 'user', content: promptOf(behaviours) }];
      const job = jobOf({ document: prompts, body: { model: 'test', messages }, enqueuedAtMs: Date.now() });
      const { document, ending } = await run({ job, rules });
      const sure = behaviours.slice(0, -1).findIndex((one) => BEHAVIOURS[one] === null);
      const last = sure === -1 ? ROLES.length - 1 : sure;
      assert.equal(document.job.stage, last);
      assert.equal(
        ending.kind,
        sure === -1 ? (NO_ANSWERS.has(behaviours[last] ?? 'confident') ? 'failed' : 'answered') : 'accepted',
      );
      const result = resultOf(document, ending);
      const { cascade } = readResultLine(result.line.text) ?? {};
      assert.ok(cascade !== undefined, result.line.text);
      const reasons = behaviours.slice(0, last).map((one) => BEHAVIOURS[one]);
      assert.deepEqual(
        cascade.stages.map(({ reason }) => reason),
        [...reasons, null],
      );
      for (const [stage, { attempts, model }] of cascade.stages.entries()) {
        const own = behaviours[stage] ?? 'confident';
        const isFailing = own === 'unclosed' ? isLastStage(rules, stage) : NO_ANSWERS.has(own);
        const isRetried = own.endsWith('x1') || own === 'status 500' || own === 'errorbeside' || isFailing;
        assert.equal(attempts, isRetried ? MAX_ATTEMPTS : 1, own);
        assert.equal(model, stageOf(rules, stage).model);
      }
      const isFailed = isLastStage(rules, last) && FAILURES.has(behaviours[last] ?? 'confident');
      assert.equal(result.line.part, isFailed ? 'error' : 'output');
      assert.doesNotMatch(result.line.text, /let me see/, 'nothing that was thought is in a line');
      assert.equal((result.counts.completed ?? 0) + (result.counts.failed ?? 0), 1);
    },
  );
  await fc.assert(passages, { numRuns: 120 });
  for (const model of models) model.know(NOTHING_FOUND);
});

test('a call and a refusal are given up as they come, where log-probs are streamed', async () => {
  for (const [behaviours, reason] of [
    ['tool', 'tool_call'],
    ['refuse', 'refused'],
  ] as const) {
    for (const streams of [false, true]) {
      for (const model of models) model.know({ ...NOTHING_FOUND, streamed_log_probs: streams });
      const messages = [{ role: 'user', content: promptOf([behaviours, 'confident', 'confident']) }];
      const job = jobOf({ document: prompts, body: { model: 'test', messages }, enqueuedAtMs: Date.now() });
      const { document, ending } = await run({ job, rules });
      const [first] = readResultLine(resultOf(document, ending).line.text)?.cascade?.stages ?? [];
      assert.deepEqual([first?.reason, first?.stopped?.score_at_most], [reason, streams ? null : undefined]);
    }
  }
  for (const model of models) model.know(NOTHING_FOUND);
});

test('a draft that came whole all the same, as its server does not stream, is judged as whole', async () => {
  await using server = await startModelServer({
    answer: () => ({ kind: 'completion', text: '{"a":"b"}', logprobs: -2, streams: false }),
  });
  const read = readConfiguration(`models:
  m0: { base_url: "${server.baseURL}", model: m0 }
  m1: { base_url: "${server.baseURL}", model: m1 }
cascades:
  test: { drafter: m0, expert: m1, accept_at: 0.8 }
`);
  assert.ok(read.kind === 'valid');
  const { configuration } = read;
  const spec = configuration.models['m0'] ?? assert.fail();
  const more = { role: 'drafter', configuration, propagates: false, onCall: () => undefined } as const;
  await using model = openStageModel({ name: 'm0', spec, apiKey: null }, more);
  model.know({ ...NOTHING_FOUND, streamed_log_probs: true });
  const body = { model: 'test', messages: [{ role: 'user', content: 'x' }] };
  const job = jobOf({ body, enqueuedAtMs: Date.now() });
  const outcome = await runStage(model, { job, rules }, { signal: new AbortController().signal, stalls: 0 });
  assert.ok(outcome.kind === 'escalate');
  const [draft] = outcome.job.drafts;
  assert.deepEqual([draft?.reason, draft?.score, draft?.stopped], ['low_confidence', -2, undefined]);
});

test('a draft that is written down is not asked for again', async () => {
  const messages = [{ role: 'user', content: promptOf(['unsure', 'confident', 'confident']) }];
  const job = jobOf({ body: { model: 'test', messages }, enqueuedAtMs: Date.now() });
  const signal = new AbortController().signal;
  const [model] = models;
  assert.ok(model !== undefined);
  const first = await runStage(model, { job, rules }, { signal, stalls: 0 });
  assert.ok(first.kind === 'escalate');
  const received = servers[0]?.received;
  const again = await runStage(model, { job: first.job, rules }, { signal, stalls: 0 });
  assert.deepEqual(again, first);
  assert.equal(servers[0]?.received, received);
});

test('a shadow run asks every stage, whatever the confidence, and keeps what every signal says', async () => {
  const messages = [{ role: 'user', content: promptOf(['confident', 'confident', 'confident']) }];
  const job = jobOf({ body: { model: 'test', messages }, enqueuedAtMs: Date.now() });
  const { document, ending } = await run({ job, rules: { ...rules, shadow: true } });
  const { cascade } = readResultLine(resultOf(document, ending).line.text) ?? {};
  assert.deepEqual(
    cascade?.stages.map(({ outcome, reason }) => [outcome, reason]),
    [
      ['escalated', 'shadow_run'],
      ['escalated', 'shadow_run'],
      ['answered', null],
    ],
  );
  for (const stage of cascade?.stages.slice(0, 2) ?? []) {
    assert.ok(Object.keys(stage.draft?.evidence?.scores ?? {}).length > 3);
    assert.ok((stage.draft?.evidence?.features?.length ?? 0) > 3);
  }
});

test('a cascade that accepts no more drafts asks none of its drafters, and its last stage from scratch', async () => {
  const messages = [{ role: 'user', content: promptOf(['confident', 'confident', 'confident']) }];
  const asked = () => servers.map(({ requests }) => requests.length);
  const already = asked();
  const { document, ending } = await run({
    job: jobOf({ body: { model: 'test', messages } }),
    rules: tightened(rules),
  });
  assert.deepEqual(
    asked().map((count, at) => count - (already[at] ?? 0)),
    [0, 0, 1],
  );
  const line = readResultLine(resultOf(document, ending).line.text);
  assert.deepEqual(
    line?.cascade?.stages.map(({ outcome, reason }) => [outcome, reason]),
    [
      ['skipped', 'promise_at_risk'],
      ['skipped', 'promise_at_risk'],
      ['answered', null],
    ],
  );
});

test('a call that is given up says why, and uses no attempt', async () => {
  const messages = [{ role: 'user', content: '[[hang]]' }];
  const job = jobOf({ body: { model: 'test', messages }, enqueuedAtMs: Date.now() });
  const [model] = models;
  assert.ok(model !== undefined);
  for (const reason of ['shutdown', 'cancelled', 'expired'] as const) {
    const abort = new AbortController();
    const asked = servers[0]?.received ?? 0;
    const outcome = runStage(model, { job, rules }, { signal: abort.signal, stalls: 0 });
    await servers[0]?.waitForRequests(asked + 1);
    abort.abort(reason);
    assert.deepEqual(await outcome, { kind: 'stopped', reason });
  }
  const late = { ...job, deadlineMs: Date.now() - 1 };
  const signal = new AbortController().signal;
  assert.deepEqual(await runStage(model, { job: late, rules }, { signal, stalls: 0 }), {
    kind: 'stopped',
    reason: 'expired',
  });
});
