import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  acceptedDraftOf,
  answeredAt,
  answerOf,
  attemptOf,
  draftOf,
  FAILURE,
  jobOf,
  rulesOf,
  threeStageRules,
} from '../../../../test/support/jobs.ts';
import { endedDocuments } from '../../../../test/support/passages.ts';
import type { CascadeRules } from '../cascade/rules.ts';
import { deliveringStage, stagesOf, type Ending } from '../document/ending.ts';
import { afterFailure, attemptsWith, withDraft, type CascadeDocument, type DocumentJob } from '../document/job.ts';
import { nextStageJob } from '../document/next-stage.ts';
import { areAllExtra, type ExtraCall } from '../document/times.ts';
import type { NamedModel } from './call.ts';
import { documentSpans, unfinishedSpans } from './document.ts';
import { batchTrace, TraceIds } from './ids.ts';
import type { FinishedSpan } from './span.ts';

const message = { role: 'assistant', content: 'secret answer' };
const body = { id: 'chatcmpl-1', model: 'm-1', choices: [{ message, finish_reason: 'stop' }] };
const answer = answerOf({
  body,
  requestId: null,
  usage: { inputTokens: 3, cachedTokens: 0, outputTokens: 2, reasoningTokens: 0 },
});

const enqueued = jobOf({
  batch: 'batch_1',
  document: 7,
  customId: 'doc-7',
  cascade: 'invoices',
  body: { messages: [{ role: 'user', content: 'secret prompt' }], max_tokens: 9, temperature: 0 },
  sampled: true,
  enqueuedAtMs: 1_000,
});
const rules = rulesOf({ acceptAt: [0.9] });
const models = (name: string): NamedModel => ({ model: `org/${name}`, address: 'models', port: 8000 });

type Times = {
  readonly sinceMs: number;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  readonly extra?: readonly ExtraCall[];
};

/** What a stage before the last did: its attempts, all but the last of which failed, and when it handed off. */
type Drafted = { readonly attempts: readonly Times[]; readonly handedOffAtMs: number };

function afterFailures(job: DocumentJob, attempts: readonly Times[]): DocumentJob {
  let now = job;
  for (const one of attempts.slice(0, -1)) {
    now = afterFailure({ ...now, waitingSinceMs: one.sinceMs }, now.usedAttempts + 1, one, FAILURE);
  }
  return { ...now, waitingSinceMs: attempts.at(-1)?.sinceMs ?? now.waitingSinceMs };
}

/** A document that was escalated by every stage but the last, which answers. */
function escalatedBy(drafts: readonly Drafted[], experts: readonly Times[], own: CascadeRules = rules) {
  let job = enqueued;
  for (const { attempts, handedOffAtMs } of drafts) {
    const drafting = afterFailures(job, attempts);
    const model = own.stages[job.stage]?.model ?? '';
    const all = attemptsWith(drafting, attempts.at(-1) as Times, null);
    const draft = draftOf({ model, answer, attempts: all });
    job = nextStageJob({ job: withDraft(drafting, draft), rules: own }, handedOffAtMs);
  }
  const { startedAtMs, endedAtMs } = experts.at(-1) as Times;
  return {
    document: { job: afterFailures(job, experts), rules: own },
    ending: answeredAt(startedAtMs, endedAtMs, answer),
  };
}

const named = (spans: readonly FinishedSpan[], name: string): FinishedSpan => {
  const found = spans.filter((span) => span.name === name);
  assert.equal(found.length, 1, `${name}: ${found.length}`);
  return found[0] as FinishedSpan;
};

/** Names, services and bounds in milliseconds. */
const outline = (spans: readonly FinishedSpan[]) =>
  spans.map(({ name, service, startUs, endUs }) => [name, service, startUs / 1_000, endUs / 1_000]);

test('an escalated document: every part of its way, in order, and the attributes of the conventions', () => {
  const passage = escalatedBy(
    [
      {
        attempts: [
          { sinceMs: 1_000, startedAtMs: 1_010, endedAtMs: 1_030 },
          { sinceMs: 1_030, startedAtMs: 1_100, endedAtMs: 1_300 },
        ],
        handedOffAtMs: 1_350,
      },
    ],
    [{ sinceMs: 1_350, startedAtMs: 2_000, endedAtMs: 2_500 }],
  );
  const spans = documentSpans({ ...passage, settledAtMs: 2_510, models, content: false });
  assert.deepEqual(outline(spans), [
    ['document', 'spillway', 1_000, 2_510],
    ['queue.wait drafter', 'drafter', 1_000, 1_009.999],
    ['draft', 'drafter', 1_010, 1_029.999],
    ['chat org/small', 'drafter', 1_010, 1_029.999],
    ['queue.wait drafter', 'drafter', 1_030, 1_099.999],
    ['draft', 'drafter', 1_100, 1_349.999],
    ['chat org/small', 'drafter', 1_100, 1_300],
    ['queue.wait expert', 'expert', 1_350, 1_999.999],
    ['expert', 'expert', 2_000, 2_509.999],
    ['chat org/large', 'expert', 2_000, 2_500],
  ]);
  const [root, , failed, , , drafted] = spans;
  assert.equal(root?.attributes['cascade.sequential_wait_ms'], 1_000);
  assert.equal(root?.attributes['cascade.sequential_wait_share'], 0.667);
  assert.equal(root?.attributes['cascade.escalation.reason'], 'low_confidence');
  assert.equal(root?.attributes['cascade.tier.final'], 'expert.large');
  assert.equal(root?.attributes['cascade.final_stage'], 2);
  assert.deepEqual(root?.events, [{ name: 'final stage begins', atUs: 2_000_000, attributes: {} }]);
  assert.deepEqual(
    spans.map(({ link }) => link),
    [null, batchTrace('batch_1'), ...Array.from({ length: 8 }, () => null)],
    'Jaeger takes a link on the root for its parent',
  );
  assert.equal(root?.error, null);
  assert.equal(failed?.error, 'status 500');
  assert.deepEqual(
    drafted?.events.map(({ name, atUs }) => [name, atUs]),
    [
      ['gen_ai.evaluation.result', 1_300_000],
      ['hand_off', 1_300_000],
    ],
  );
  const chat = named(spans, 'chat org/large');
  assert.equal(chat.kind, 'client');
  assert.equal(chat.spanId, new TraceIds(enqueued).spanId(1, 1, 'call'), 'what the model server was told');
  assert.equal(chat.attributes['gen_ai.response.model'], 'm-1');
  assert.equal(chat.attributes['gen_ai.request.max_tokens'], 9);
  assert.deepEqual(chat.attributes['gen_ai.response.finish_reasons'], ['stop']);
  assert.equal(chat.attributes['server.address'], 'models');
  assert.ok(!JSON.stringify(spans).includes('secret'), 'no content unless it is switched on');
  const open = documentSpans({ ...passage, settledAtMs: 2_510, models, content: true });
  assert.ok(JSON.stringify(open).includes('secret prompt') && JSON.stringify(open).includes('secret answer'));
});

test('three stages: each by its name, number and model, and the event where the last one begins', () => {
  const passage = escalatedBy(
    [
      { attempts: [{ sinceMs: 1_000, startedAtMs: 1_010, endedAtMs: 1_030 }], handedOffAtMs: 1_040 },
      { attempts: [{ sinceMs: 1_040, startedAtMs: 1_100, endedAtMs: 1_300 }], handedOffAtMs: 1_350 },
    ],
    [{ sinceMs: 1_350, startedAtMs: 2_000, endedAtMs: 2_500 }],
    threeStageRules({ acceptAt: [0.95, 0.9] }),
  );
  const spans = documentSpans({ ...passage, settledAtMs: 2_510, models, content: false });
  assert.deepEqual(outline(spans), [
    ['document', 'spillway', 1_000, 2_510],
    ['queue.wait drafter', 'drafter', 1_000, 1_009.999],
    ['draft', 'drafter', 1_010, 1_039.999],
    ['chat org/small', 'drafter', 1_010, 1_030],
    ['queue.wait drafter', 'drafter', 1_040, 1_099.999],
    ['draft', 'drafter', 1_100, 1_349.999],
    ['chat org/medium', 'drafter', 1_100, 1_300],
    ['queue.wait expert', 'expert', 1_350, 1_999.999],
    ['expert', 'expert', 2_000, 2_509.999],
    ['chat org/large', 'expert', 2_000, 2_500],
  ]);
  const worked = spans.filter(({ name }) => name === 'draft' || name === 'expert');
  assert.deepEqual(
    worked.map(({ attributes: at }) => [
      at['cascade.tier'],
      at['cascade.stage'],
      at['cascade.model'],
      at['cascade.attempt'],
    ]),
    [
      ['drafter.small', 1, 'small', 1],
      ['drafter.medium', 2, 'medium', 1],
      ['expert.large', 3, 'large', 1],
    ],
  );
  const [root] = spans;
  assert.deepEqual(root?.events, [{ name: 'final stage begins', atUs: 2_000_000, attributes: {} }]);
  const { attributes: at } = root ?? assert.fail();
  assert.deepEqual(
    [at['cascade.final_stage'], at['cascade.tier.final'], at['cascade.escalated'], at['cascade.name']],
    [3, 'expert.large', true, 'invoices'],
  );
  assert.equal(at['cascade.confidence.threshold'], 0.9, 'the confidence is that of the stage that was judged last');
  const [first, second] = worked.flatMap(({ events }) => events.filter(({ name }) => name !== 'hand_off'));
  assert.equal(first?.attributes['gen_ai.evaluation.score.label'], 'escalated');
  assert.equal(second?.attributes['gen_ai.evaluation.explanation'], 'low_confidence');
});

test('an accepted draft has neither hand-off nor expert; a failed document is an error', () => {
  const attempts = attemptsWith(enqueued, { startedAtMs: 1_100, endedAtMs: 1_200 }, null);
  const spans = documentSpans({
    document: { job: enqueued, rules },
    ending: { kind: 'accepted', draft: acceptedDraftOf({ answer, attempts }) },
    settledAtMs: 1_203,
    models,
    content: false,
  });
  assert.deepEqual(
    spans.map(({ name }) => name),
    ['document', 'queue.wait drafter', 'draft', 'chat org/small'],
  );
  assert.deepEqual(
    named(spans, 'draft').events.map(({ name }) => name),
    ['gen_ai.evaluation.result'],
  );
  assert.deepEqual(spans[0]?.events, [], 'no other stage begins');
  assert.equal(spans[0]?.attributes['cascade.sequential_wait_ms'], null);
  const { document } = escalatedBy(
    [{ attempts: [{ sinceMs: 1_000, startedAtMs: 1_100, endedAtMs: 1_200 }], handedOffAtMs: 1_300 }],
    [{ sinceMs: 1_300, startedAtMs: 1_400, endedAtMs: 1_500 }],
  );
  const error = { code: 'request_timeout', message: 'no answer' };
  const why = { type: 'timeout', message: 'no answer within 100 ms' };
  const ending: Ending = { kind: 'failed', error, why, startedAtMs: 1_400, endedAtMs: 1_500 };
  const failed = documentSpans({ document, ending, settledAtMs: 1_510, models, content: false });
  assert.equal(named(failed, 'document').error, 'request_timeout');
  assert.equal(named(failed, 'expert').error, why.message);
  assert.equal(named(failed, 'chat org/large').attributes['error.type'], 'timeout');
  const refused = answeredAt(1_400, 1_500, { ...answer, status: 400 });
  const [root] = documentSpans({ document, ending: refused, settledAtMs: 1_510, models, content: false });
  assert.equal(root?.error, 'status 400');
});

test('a stage that was skipped has no spans; the last one still begins', () => {
  const own = threeStageRules();
  const none = draftOf({
    answer: null,
    score: null,
    confidence: null,
    reason: 'needs_tools',
    attempts: [],
    handedOffAtMs: 1_000,
  });
  const job = { ...withDraft(enqueued, none), stage: 1 };
  const attempts = [attemptOf({ sinceMs: 1_000 })];
  const ending = { kind: 'accepted', draft: acceptedDraftOf({ model: 'medium', attempts }) } as const;
  const spans = documentSpans({ document: { job, rules: own }, ending, settledAtMs: 1_400, models, content: false });
  assert.deepEqual(outline(spans), [
    ['document', 'spillway', 1_000, 1_400],
    ['queue.wait drafter', 'drafter', 1_000, 1_099.999],
    ['draft', 'drafter', 1_100, 1_399.999],
    ['chat org/medium', 'drafter', 1_100, 1_300],
  ]);
  assert.equal(named(spans, 'draft').attributes['cascade.stage'], 2);
  assert.deepEqual(spans[0]?.events, [{ name: 'final stage begins', atUs: 1_100_000, attributes: {} }]);
});

test('a draft that the deadline delivers was handed off, and waits for nothing', () => {
  const job = nextStageJob(
    { job: withDraft(enqueued, draftOf({ answer, attempts: [attemptOf({ sinceMs: 1_000 })] })), rules },
    1_310,
  );
  const ending = { kind: 'deadline_draft', stage: 0 } as const;
  const spans = documentSpans({ document: { job, rules }, ending, settledAtMs: 9_000, models, content: false });
  assert.deepEqual(outline(spans), [
    ['document', 'spillway', 1_000, 9_000],
    ['queue.wait drafter', 'drafter', 1_000, 1_099.999],
    ['draft', 'drafter', 1_100, 1_309.999],
    ['chat org/small', 'drafter', 1_100, 1_300],
  ]);
  const [root] = spans;
  assert.deepEqual([root?.attributes['cascade.escalated'], root?.attributes['cascade.final_stage']], [true, 1]);
});

test('a draft that is final by a verdict: one call in the work of the expert, which says how sure it was', () => {
  const confidence = { signal: { name: 'self_assessment' }, calibration: null } as const;
  const [first, last] = rules.stages;
  assert.ok(first !== undefined && last !== undefined);
  const asking = {
    ...rules,
    stages: [first, { ...last, ask: 'verdict', verdict: { confidence, acceptAt: 0.9 } }],
  } as const;
  const { document } = escalatedBy(
    [{ attempts: [{ sinceMs: 1_000, startedAtMs: 1_100, endedAtMs: 1_300 }], handedOffAtMs: 1_350 }],
    [{ sinceMs: 1_350, startedAtMs: 2_000, endedAtMs: 2_050 }],
    asking,
  );
  const instead = { inputTokens: 90, outputTokens: 10, ms: 400 };
  const how = { kind: 'verdict', stage: 0, score: 0.95, confidence: 0.95, instead } as const;
  const span = { startedAtMs: 2_000, endedAtMs: 2_050 };
  const extra = [{ ...span, purpose: 'verdict', error: null, inputTokens: 120, outputTokens: 1 }] as const;
  const usage = { inputTokens: 120, cachedTokens: 0, outputTokens: 1, reasoningTokens: 0 };
  const ending = { kind: 'confirmed', how, usage, extra, ...span } as const;
  const spans = documentSpans({ document, ending, settledAtMs: 2_060, models, content: false });
  const work = named(spans, 'expert');
  const calls = spans.filter(({ parentId }) => parentId === work.spanId);
  assert.deepEqual(
    calls.map(({ attributes }) => [attributes['cascade.call.purpose'], attributes['gen_ai.usage.input_tokens']]),
    [['verdict', 120]],
  );
  assert.deepEqual([work.attributes['cascade.ask'], work.attributes['cascade.verdict_on']], ['verdict', 1]);
  assert.deepEqual(
    work.events.map(({ name, attributes }) => [name, attributes['gen_ai.evaluation.score.label']]),
    [['gen_ai.evaluation.result', 'accepted']],
  );
  const { attributes } = named(spans, 'document');
  assert.deepEqual(
    [attributes['cascade.final_stage'], attributes['cascade.tier.final'], attributes['cascade.escalation.reason']],
    [1, `drafter.${first.model}`, 'low_confidence'],
  );
  assert.deepEqual(
    [attributes['cascade.confidence.signal'], attributes['cascade.confidence.value']],
    ['self_assessment', 0.95],
  );
  checkSpans(spans);
});

test('the calls by which a draft is judged lie behind its own, in the same work', () => {
  const extra = [
    { purpose: 'self_assessment', startedAtMs: 1_250, endedAtMs: 1_280, error: null, inputTokens: 5, outputTokens: 1 },
    { purpose: 'sample', startedAtMs: 1_260, endedAtMs: 1_500, error: FAILURE, inputTokens: 0, outputTokens: 0 },
  ] as const;
  const { document, ending } = escalatedBy(
    [{ attempts: [{ sinceMs: 1_000, startedAtMs: 1_100, endedAtMs: 1_300, extra }], handedOffAtMs: 1_350 }],
    [{ sinceMs: 1_350, startedAtMs: 2_000, endedAtMs: 2_500 }],
  );
  const spans = documentSpans({ document, ending, settledAtMs: 2_510, models, content: false });
  const calls = spans.filter(({ name }) => name === 'chat org/small');
  assert.deepEqual(
    calls.map((span) => [span.attributes['cascade.call.purpose'] ?? null, span.startUs / 1_000, span.endUs / 1_000]),
    [
      [null, 1_100, 1_250],
      ['self_assessment', 1_250, 1_280],
      ['sample', 1_260, 1_349.999],
    ],
  );
  assert.equal(calls[2]?.error, FAILURE.message);
  const ids = new TraceIds(enqueued);
  assert.deepEqual(
    calls.map(({ spanId }) => spanId),
    [ids.spanId(0, 1, 'call'), ids.extraSpanId(0, 1, 0), ids.extraSpanId(0, 1, 1)],
  );
});

test('each part of a wait has a span that says why, and a call that used no attempt one of its own, with its own id', () => {
  const take = (number: number) => ({ number, by: `pod-${number}:7` });
  const said = 'overloaded, try later';
  const held: DocumentJob = {
    ...enqueued,
    take: take(4),
    delays: [
      { reason: 'breaker', fromMs: 1_050, toMs: 1_100 },
      {
        reason: 'backpressure',
        fromMs: 1_200,
        toMs: 1_220,
        call: { take: take(2), error: { type: '429', message: 'status 429', said } },
      },
      { reason: 'backpressure', fromMs: 1_220, toMs: 1_400 },
    ],
  };
  const error = { type: '400', message: 'status 400', said: 'the prompt "secret prompt" is too long' };
  const failed = afterFailure(held, 1, { startedAtMs: 1_410, endedAtMs: 1_500 }, error);
  const lost: DocumentJob = {
    ...failed,
    take: take(9),
    delays: [{ reason: 'lost_worker', fromMs: 1_500, toMs: 1_600 }],
  };
  const attempts = attemptsWith(lost, { startedAtMs: 1_600, endedAtMs: 1_700 }, null);
  const ending = { kind: 'accepted', draft: acceptedDraftOf({ answer, attempts }) } as const;
  const trace = { document: { job: lost, rules }, ending, settledAtMs: 1_710, models };
  const spans = documentSpans({ ...trace, content: false });
  assert.deepEqual(outline(spans), [
    ['document', 'spillway', 1_000, 1_710],
    ['queue.wait drafter', 'drafter', 1_000, 1_049.999],
    ['breaker.wait drafter', 'drafter', 1_050, 1_099.999],
    ['queue.wait drafter', 'drafter', 1_100, 1_199.999],
    ['draft', 'drafter', 1_200, 1_219.999],
    ['chat org/small', 'drafter', 1_200, 1_219.999],
    ['backpressure.wait drafter', 'drafter', 1_220, 1_399.999],
    ['queue.wait drafter', 'drafter', 1_400, 1_409.999],
    ['draft', 'drafter', 1_410, 1_499.999],
    ['chat org/small', 'drafter', 1_410, 1_499.999],
    ['lost_worker.wait drafter', 'drafter', 1_500, 1_599.999],
    ['draft', 'drafter', 1_600, 1_709.999],
    ['chat org/small', 'drafter', 1_600, 1_700],
  ]);
  checkSpans(spans);
  const calls = spans.filter(({ name }) => name.startsWith('chat'));
  const ids = new TraceIds(enqueued);
  assert.deepEqual(
    calls.map(({ spanId }) => spanId),
    [2, 4, 9].map((number) => ids.spanId(0, number, 'call')),
    'what the model server was told each time',
  );
  assert.deepEqual(
    calls.map(({ by, attributes: at }) => [by, at['http.response.status_code'], at['cascade.server.said']]),
    [
      ['pod-2:7', 429, said],
      ['pod-4:7', 400, null],
      ['pod-9:7', 200, undefined],
    ],
    'what was said of the request itself may quote it',
  );
  assert.equal(spans[2]?.attributes['cascade.wait.reason'], 'breaker');
  assert.ok(spans.slice(1).every(({ attributes: at }) => at['cascade.batch.id'] === 'batch_1'));
  assert.ok(spans.slice(1).every(({ attributes: at }) => at['cascade.document.id'] === 'doc-7'));
  assert.ok(JSON.stringify(documentSpans({ ...trace, content: true })).includes('is too long'));
  const quoting = { type: '500', message: 'status 500', said: "cannot parse: 'secret answer'" };
  const broken = afterFailure(held, 1, { startedAtMs: 1_410, endedAtMs: 1_500 }, quoting);
  const own = attemptsWith(broken, { startedAtMs: 1_600, endedAtMs: 1_700 }, null);
  const ended = { kind: 'accepted', draft: acceptedDraftOf({ answer, attempts: own }) } as const;
  const shown = documentSpans({ ...trace, ending: ended, document: { job: broken, rules }, content: false });
  assert.ok(!JSON.stringify(shown).includes('secret'), 'a server that fails may quote what its model wrote');
});

test('the messages of a call have the parts that the conventions give them', () => {
  const messages = [
    { role: 'system', content: 'be brief' },
    {
      role: 'user',
      content: [
        { type: 'text', text: 'what is it?' },
        { type: 'image_url', image_url: { url: 'https://x/y' } },
      ],
    },
    { role: 'assistant', content: null, tool_calls: [{ id: 'c1', function: { name: 'look', arguments: '{}' } }] },
    { role: 'tool', tool_call_id: 'c1', content: 'a cat' },
  ];
  const job = { ...enqueued, body: { messages } };
  const attempts = attemptsWith(job, { startedAtMs: 1_100, endedAtMs: 1_200 }, null);
  const ending = { kind: 'accepted', draft: acceptedDraftOf({ answer, attempts }) } as const;
  const spans = documentSpans({ document: { job, rules }, ending, settledAtMs: 1_203, models, content: true });
  const { attributes: at } = named(spans, 'chat org/small');
  const read = (name: string): unknown => JSON.parse(String(at[name]));
  assert.deepEqual(read('gen_ai.input.messages'), [
    { role: 'system', parts: [{ type: 'text', content: 'be brief' }] },
    {
      role: 'user',
      parts: [
        { type: 'text', content: 'what is it?' },
        { type: 'uri', modality: 'image', uri: 'https://x/y' },
      ],
    },
    { role: 'assistant', parts: [{ type: 'tool_call', id: 'c1', name: 'look', arguments: '{}' }] },
    { role: 'tool', parts: [{ type: 'tool_call_response', id: 'c1', response: 'a cat' }] },
  ]);
  assert.deepEqual(read('gen_ai.output.messages'), [
    { role: 'assistant', parts: [{ type: 'text', content: 'secret answer' }], finish_reason: 'stop' },
  ]);
});

test('a document whose batch ended before it did has a trace if a model was asked about it', () => {
  const trace = { models, content: false, endedAtMs: 3_000, error: 'batch_cancelled' };
  assert.equal(unfinishedSpans({ ...trace, document: { job: enqueued, rules } }), null);
  const failed = afterFailure(enqueued, 1, { startedAtMs: 1_100, endedAtMs: 1_200 }, FAILURE);
  const spans = unfinishedSpans({ ...trace, document: { job: failed, rules } }) ?? [];
  assert.deepEqual(outline(spans), [
    ['document', 'spillway', 1_000, 3_000],
    ['queue.wait drafter', 'drafter', 1_000, 1_099.999],
    ['draft', 'drafter', 1_100, 1_199.999],
    ['chat org/small', 'drafter', 1_100, 1_199.999],
    ['queue.wait drafter', 'drafter', 1_200, 2_999.999],
  ]);
  assert.equal(spans[0]?.error, 'batch_cancelled');
  const call = { take: { number: 1, by: 'pod:1' }, error: FAILURE };
  const refused = { ...enqueued, delays: [{ reason: 'backpressure', fromMs: 1_100, toMs: 1_200, call } as const] };
  assert.deepEqual(
    unfinishedSpans({ ...trace, document: { job: refused, rules } })?.map(({ name }) => name),
    ['document', 'queue.wait drafter', 'draft', 'chat org/small', 'queue.wait drafter'],
    'a call that used no attempt was one all the same',
  );
  const written = { ...enqueued, drafts: [draftOf({ answer, attempts: [attemptOf({ sinceMs: 1_000 })] })] };
  const names = unfinishedSpans({ ...trace, document: { job: written, rules } })?.map(({ name }) => name);
  assert.deepEqual(names, ['document', 'queue.wait drafter', 'draft', 'chat org/small'], 'it waits for nothing');
  const drafted = { ...enqueued, drafts: [draftOf({ answer, attempts: [attemptOf({ sinceMs: 1_000 })] })] };
  const handedOff = nextStageJob({ job: drafted, rules }, 1_310);
  const waiting = unfinishedSpans({ ...trace, document: { job: handedOff, rules } }) ?? [];
  assert.deepEqual(
    waiting.map(({ name, endUs }) => [name, endUs]),
    [
      ['document', 3_000_000],
      ['queue.wait drafter', 1_099_999],
      ['draft', 1_309_999],
      ['chat org/small', 1_300_000],
      ['queue.wait expert', 2_999_999],
    ],
  );
  checkSpans(waiting);
});

/** Siblings of the root are in order and a microsecond apart; everything lies in its parent, and has its own id. */
function checkSpans(spans: readonly FinishedSpan[]): void {
  const byId = new Map(spans.map((span) => [span.spanId, span]));
  assert.equal(byId.size, spans.length, 'every span has an id of its own');
  const [root, ...rest] = spans;
  assert.ok(spans.every(({ traceId, spanId }) => /^[0-9a-f]{32}$/.test(traceId) && /^[0-9a-f]{16}$/.test(spanId)));
  assert.ok(spans.every(({ traceId }) => traceId === root?.traceId));
  for (const span of spans) {
    assert.ok(Number.isInteger(span.startUs) && Number.isInteger(span.endUs) && span.endUs >= span.startUs, span.name);
    const parent = span.parentId === null ? span : byId.get(span.parentId);
    assert.ok(parent !== undefined && span.startUs >= parent.startUs && span.endUs <= parent.endUs, span.name);
  }
  const children = rest.filter((span) => span.parentId === root?.spanId);
  for (const [index, span] of children.entries()) {
    const before = children[index - 1];
    if (before !== undefined) assert.ok(span.startUs > before.endUs, span.name);
  }
  assert.deepEqual(criticalPath(root, children), children, 'all of a document is on its critical path');
  assert.equal(root?.link, null, 'a tracing UI takes what the root refers to for its parent');
}

/**
 * The children of a root that are on the critical path as Jaeger's UI walks it: from the root's end to the child that
 * ended last, and from the start of each to the one that ended last before it. Those that touch are passed by.
 */
function criticalPath(root: FinishedSpan | undefined, children: readonly FinishedSpan[]): FinishedSpan[] {
  const path: FinishedSpan[] = [];
  let untilUs = (root?.endUs ?? 0) + 1;
  for (;;) {
    const ended = children.filter(({ endUs }) => endUs < untilUs);
    const last = ended.toSorted((left, right) => right.endUs - left.endUs)[0];
    if (last === undefined) return path;
    path.unshift(last);
    untilUs = last.startUs;
  }
}

const moment = fc.double({ min: 0, max: 100_000, noNaN: true });
const attempts = fc.array(fc.record({ sinceMs: moment, startedAtMs: moment, endedAtMs: moment }), {
  minLength: 1,
  maxLength: 4,
});

test('whatever the clocks say, siblings are in order and a microsecond apart, and everything lies in its parent', () => {
  fc.assert(
    fc.property(attempts, moment, attempts, moment, (drafts, handedOffAtMs, experts, settledAtMs) => {
      const passage = escalatedBy([{ attempts: drafts, handedOffAtMs }], experts);
      const spans = documentSpans({ ...passage, settledAtMs, models, content: false });
      assert.equal(spans.length, 1 + 3 * (drafts.length + experts.length));
      checkSpans(spans);
    }),
  );
});

const partsOf = (document: CascadeDocument, ending: Ending): number =>
  stagesOf(document, ending)
    .flatMap((one) => one.attempts)
    .reduce((sum, { extra = [] }) => sum + (areAllExtra(extra) ? 2 : 3) + extra.length, 0);

test('so it is for every document, of two to eight stages, however it ended', () => {
  fc.assert(
    fc.property(endedDocuments, ({ document, ending, settledAtMs }) => {
      const spans = documentSpans({ document, ending, settledAtMs, models, content: true });
      assert.equal(spans.length, 1 + partsOf(document, ending));
      checkSpans(spans);
      const stages = stagesOf(document, ending);
      const [root] = spans;
      const begins = stages.at(-1)?.attempts[0]?.startedAtMs ?? Number.NaN;
      const event = { name: 'final stage begins', atUs: Math.round(begins * 1_000), attributes: {} };
      assert.deepEqual(root?.events, stages.length > 1 ? [event] : []);
      assert.equal(root?.attributes['cascade.final_stage'], deliveringStage(stages) + 1);
      const worked = spans.filter(({ name }) => name === 'draft' || name === 'expert');
      assert.deepEqual(
        worked.map(({ attributes: at }) => [at['cascade.stage'], at['cascade.attempt']]),
        stages.flatMap((one, at) => one.attempts.map((_, index) => [at + 1, index + 1])),
      );
    }),
    { numRuns: 300 },
  );
});
