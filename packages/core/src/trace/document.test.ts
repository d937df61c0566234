import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { attemptsWith, afterFailure, escalatedJob, type DocumentJob } from '../job.ts';
import type { Ending } from '../result.ts';
import { documentSpans, type NamedModel } from './document.ts';
import { isDrawn, TraceIds, traceparentOf } from './ids.ts';
import { drawnShare, keptAtMost, keptKind } from './keep.ts';
import type { FinishedSpan } from './span.ts';

const usage = { inputTokens: 3, cachedTokens: 0, outputTokens: 2, reasoningTokens: 0 };
const body = {
  id: 'chatcmpl-1',
  model: 'm-1',
  choices: [{ message: { content: 'secret answer' }, finish_reason: 'stop' }],
};
const answer = { status: 200, requestId: null, body, usage };

const fed: DocumentJob = {
  v: 1,
  batch: 'batch_1',
  document: 7,
  page: 0,
  place: 7,
  customId: 'doc-7',
  cascade: 'invoices',
  rules: {
    drafter: 'small',
    expert: 'large',
    confidence: { signal: { name: 'mean_logprob' }, calibration: null },
    both: false,
    limits: { contextTokens: null, images: true, tools: true },
    acceptAt: 0.9,
    onDeadline: 'error',
    annotate: true,
    draftPrice: null,
    expertPrice: null,
  },
  endpoint: '/v1/chat/completions',
  body: { messages: [{ role: 'user', content: 'secret prompt' }], max_tokens: 9, temperature: 0 },
  sampled: true,
  fedAtMs: 1_000,
  deadlineMs: 100_000,
  tries: 0,
  waitingSinceMs: 1_000,
  attempts: [],
  handedOverAtMs: null,
  draft: null,
};

const models = (name: string): NamedModel => ({ model: `org/${name}`, address: 'models', port: 8000 });
const failure = { type: '500', message: 'status 500' };

type Times = { readonly sinceMs: number; readonly startedAtMs: number; readonly endedAtMs: number };

/** A document that is escalated after some failed tries in both tiers. */
function escalatedWay(drafts: readonly Times[], handedOverAtMs: number, experts: readonly Times[]) {
  const through = (job: DocumentJob, tries: readonly Times[]): DocumentJob =>
    tries
      .slice(0, -1)
      .reduce((now, one) => ({ ...afterFailure(now, 1, one, failure), waitingSinceMs: one.endedAtMs }), job);
  const drafting = through(fed, drafts);
  const [lastDraft, lastExpert] = [drafts.at(-1) as Times, experts.at(-1) as Times];
  const draft = {
    model: 'small',
    answer,
    score: -0.5,
    confidence: 0.6,
    fields: null,
    evidence: null,
    reason: 'low_confidence' as const,
    attempts: attemptsWith(drafting, lastDraft, null),
    startedAtMs: lastDraft.startedAtMs,
    endedAtMs: lastDraft.endedAtMs,
  };
  const job = through(escalatedJob(drafting, draft, handedOverAtMs), experts);
  const { startedAtMs, endedAtMs } = lastExpert;
  const ending: Ending = { kind: 'expert', answer, startedAtMs, endedAtMs };
  return { job, ending };
}

const named = (spans: readonly FinishedSpan[], name: string): FinishedSpan => {
  const found = spans.filter((span) => span.name === name);
  assert.equal(found.length, 1, `${name}: ${found.length}`);
  return found[0] as FinishedSpan;
};

test('an escalated document: every part of its way, in order, and the attributes of the conventions', () => {
  const way = escalatedWay(
    [
      { sinceMs: 1_000, startedAtMs: 1_010, endedAtMs: 1_030 },
      { sinceMs: 1_030, startedAtMs: 1_100, endedAtMs: 1_300 },
    ],
    1_350,
    [{ sinceMs: 1_350, startedAtMs: 2_000, endedAtMs: 2_500 }],
  );
  const spans = documentSpans({ ...way, settledAtMs: 2_510, models, content: false });
  assert.deepEqual(
    spans.map(({ name, service, startUs, endUs }) => [name, service, startUs / 1_000, endUs / 1_000]),
    [
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
    ],
  );
  const [root, , failed, , , drafted] = spans;
  assert.equal(root?.attributes['cascade.sequential_wait_ms'], 1_000);
  assert.equal(root?.attributes['cascade.escalation.reason'], 'low_confidence');
  assert.equal(root?.attributes['cascade.tier.final'], 'expert');
  assert.equal(root?.error, null);
  assert.equal(failed?.error, 'status 500');
  assert.deepEqual(
    drafted?.events.map(({ name, atUs }) => [name, atUs]),
    [
      ['gen_ai.evaluation.result', 1_300_000],
      ['hand_over', 1_300_000],
    ],
  );
  const chat = named(spans, 'chat org/large');
  assert.equal(chat.kind, 'client');
  assert.equal(chat.spanId, new TraceIds(way.job).spanId('expert', 1, 'call'), 'what the model server was told');
  assert.equal(chat.attributes['gen_ai.response.model'], 'm-1');
  assert.equal(chat.attributes['gen_ai.request.max_tokens'], 9);
  assert.deepEqual(chat.attributes['gen_ai.response.finish_reasons'], ['stop']);
  assert.equal(chat.attributes['server.address'], 'models');
  assert.ok(!JSON.stringify(spans).includes('secret'), 'no content unless it is switched on');
  const open = documentSpans({ ...way, settledAtMs: 2_510, models, content: true });
  assert.ok(JSON.stringify(open).includes('secret prompt') && JSON.stringify(open).includes('secret answer'));
});

test('an accepted draft has neither hand-over nor expert; a failed document is an error', () => {
  const attempts = attemptsWith(fed, { startedAtMs: 1_100, endedAtMs: 1_200 }, null);
  const draft = {
    model: 'small',
    answer,
    score: -0.1,
    confidence: 0.95,
    fields: null,
    evidence: null,
    attempts,
    startedAtMs: 1_100,
    endedAtMs: 1_200,
  };
  const spans = documentSpans({
    job: fed,
    ending: { kind: 'accepted', draft },
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
  const { job } = escalatedWay([{ sinceMs: 1_000, startedAtMs: 1_100, endedAtMs: 1_200 }], 1_300, [
    { sinceMs: 1_300, startedAtMs: 1_400, endedAtMs: 1_500 },
  ]);
  const error = { code: 'request_timeout', message: 'no answer' };
  const why = { type: 'timeout', message: 'no answer within 100 ms' };
  const ending: Ending = { kind: 'failed', error, why, startedAtMs: 1_400, endedAtMs: 1_500 };
  const failed = documentSpans({ job, ending, settledAtMs: 1_510, models, content: false });
  assert.equal(named(failed, 'document').error, 'request_timeout');
  assert.equal(named(failed, 'expert').error, why.message);
  assert.equal(named(failed, 'chat org/large').attributes['error.type'], 'timeout');
});

const moment = fc.double({ min: 0, max: 100_000, noNaN: true });
const tries = fc.array(fc.record({ sinceMs: moment, startedAtMs: moment, endedAtMs: moment }), {
  minLength: 1,
  maxLength: 4,
});

test('whatever the clocks say, siblings are in order and a microsecond apart, and everything lies in its parent', () => {
  fc.assert(
    fc.property(tries, moment, tries, moment, (drafts, handedOverAtMs, experts, settledAtMs) => {
      const way = escalatedWay(drafts, handedOverAtMs, experts);
      const spans = documentSpans({ ...way, settledAtMs, models, content: false });
      const byId = new Map(spans.map((span) => [span.spanId, span]));
      assert.equal(byId.size, spans.length, 'every span has an id of its own');
      assert.equal(spans.length, 1 + 3 * (drafts.length + experts.length));
      const [root, ...rest] = spans;
      const children = rest.filter((span) => span.parentId === root?.spanId);
      for (const [index, span] of spans.entries()) {
        assert.ok(
          Number.isInteger(span.startUs) && Number.isInteger(span.endUs) && span.endUs >= span.startUs,
          `${index}`,
        );
        const parent = span.parentId === null ? span : byId.get(span.parentId);
        assert.ok(parent !== undefined && span.startUs >= parent.startUs && span.endUs <= parent.endUs, span.name);
      }
      for (const [index, span] of children.entries()) {
        const before = children[index - 1];
        if (before !== undefined) assert.ok(span.startUs > before.endUs);
      }
    }),
  );
});

test('what is drawn of a batch is near its share, the same for everybody, and the whole of a small one', () => {
  const documents = 20_000;
  const share = drawnShare(1_000, documents);
  const drawn = Array.from({ length: documents }, (_, document) => isDrawn({ batch: 'b', document }, share));
  const count = drawn.filter(Boolean).length;
  assert.ok(count > 420 && count < 580, `${count} for 500`);
  assert.equal(drawnShare(1_000, 500), 1);
  assert.equal(drawnShare(0, 10), 0);
  assert.equal(isDrawn({ batch: 'b', document: 1 }, 0), false);
  assert.equal(isDrawn({ batch: 'b', document: 1 }, 1), true);
  assert.equal(keptAtMost(1_000, 'failed') + keptAtMost(1_000, 'escalated'), 500);
});

test('failed comes before slow, slow before escalated', () => {
  const way = (ms: number) =>
    escalatedWay([{ sinceMs: 1_000, startedAtMs: 1_100, endedAtMs: 1_200 }], 1_300, [
      { sinceMs: 1_300, startedAtMs: 1_400, endedAtMs: 1_400 + ms },
    ]);
  const kind = ({ job, ending }: { job: DocumentJob; ending: Ending }) => keptKind(job, ending, 500);
  assert.equal(kind(way(400)), 'escalated');
  assert.equal(kind(way(600)), 'slow');
  const { job } = way(600);
  const refused: Ending = { kind: 'expert', answer: { ...answer, status: 400 }, startedAtMs: 0, endedAtMs: 9_000 };
  assert.equal(kind({ job, ending: refused }), 'failed');
  const attempts = attemptsWith(fed, { startedAtMs: 1_100, endedAtMs: 1_200 }, null);
  const draft = {
    model: 'small',
    answer,
    score: 0,
    confidence: 1,
    fields: null,
    evidence: null,
    attempts,
    startedAtMs: 1_100,
    endedAtMs: 1_200,
  };
  assert.equal(kind({ job: fed, ending: { kind: 'accepted', draft } }), null);
});

test('a traceparent has the form of W3C Trace Context', () => {
  const header = traceparentOf(fed, 'draft', { attempt: 1, extra: null, sampled: false });
  assert.match(header, /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
  assert.ok(header.includes(new TraceIds(fed).root.traceId));
  assert.notEqual(new TraceIds({ ...fed, fedAtMs: 1 }).root.traceId, new TraceIds(fed).root.traceId);
});
