import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { attemptOf, draftOf, FAILURE, jobOf, rulesOf, threeStageRules } from '../../../../test/support/jobs.ts';
import { endedDocuments } from '../../../../test/support/passages.ts';
import { isLastStage } from '../cascade/rules.ts';
import { afterFailure, attemptsWith, draftToHandOff, withDraft } from './job.ts';
import { nextStageJob, skipUnfit } from './next-stage.ts';

test('an attempt that failed is kept, and the next wait begins where it ended', () => {
  const job = jobOf({ enqueuedAtMs: 1_000 });
  const failed = afterFailure(job, 1, { startedAtMs: 1_010, endedAtMs: 1_030 }, FAILURE);
  assert.deepEqual(failed.attempts, [
    attemptOf({ sinceMs: 1_000, startedAtMs: 1_010, endedAtMs: 1_030, error: FAILURE }),
  ]);
  assert.deepEqual([failed.usedAttempts, failed.waitingSinceMs], [1, 1_030]);
  const all = attemptsWith(failed, { startedAtMs: 1_100, endedAtMs: 1_200 }, null);
  assert.deepEqual(all[1], attemptOf({ sinceMs: 1_030, startedAtMs: 1_100, endedAtMs: 1_200 }));
  assert.equal('extra' in (all[1] ?? {}), false, 'calls that were not made take no place in a job');
});

test('an attempt keeps the calls beside the draft’s own', () => {
  const extra = [
    { purpose: 'sample', startedAtMs: 2, endedAtMs: 3, error: null, inputTokens: 1, outputTokens: 1 } as const,
  ];
  assert.deepEqual(attemptsWith(jobOf(), { startedAtMs: 1, endedAtMs: 3, extra }, null)[0]?.extra, extra);
});

test('the next stage begins with nothing used, and knows when the draft was handed off', () => {
  const rules = threeStageRules();
  const job = { ...jobOf(), usedAttempts: 2, attempts: [attemptOf()], refused: { times: 3, atMs: 1 } };
  const drafted = withDraft(job, draftOf());
  assert.deepEqual(draftToHandOff(job), null);
  assert.deepEqual(draftToHandOff(drafted), draftOf());
  const next = nextStageJob({ job: drafted, rules }, 500);
  assert.deepEqual(next, {
    ...job,
    stage: 1,
    drafts: [draftOf({ handedOffAtMs: 500 })],
    usedAttempts: 0,
    attempts: [],
    refused: undefined,
    unproven: undefined,
    breaks: undefined,
    foundGone: undefined,
    mayTakeLong: undefined,
    delays: undefined,
    take: undefined,
    spent: undefined,
    waitingSinceMs: 500,
  });
  assert.equal(draftToHandOff(next), null);
  const last = nextStageJob({ job: withDraft(next, draftOf({ model: 'medium' })), rules }, 900);
  assert.deepEqual(
    last.drafts.map(({ model, handedOffAtMs }) => [model, handedOffAtMs]),
    [
      ['small', 500],
      ['medium', 900],
    ],
  );
  assert.equal(last.stage, 2);
});

test('stages that cannot take a document are skipped with their reasons, the last one never', () => {
  const body = { messages: [{ role: 'user', content: [{ type: 'image_url' }] }], tools: [{}] };
  const rules = rulesOf({
    models: ['a', 'b', 'c', 'd'],
    limits: [{ tools: false }, { images: false }, {}, { images: false, tools: false }],
  });
  const at = skipUnfit({ job: jobOf({ body }), rules }, 77);
  assert.deepEqual(
    at.drafts.map(({ model, reason, handedOffAtMs, answer, attempts }) => [
      model,
      reason,
      handedOffAtMs,
      answer,
      attempts.length,
    ]),
    [
      ['a', 'needs_tools', 77, null, 0],
      ['b', 'needs_image', 77, null, 0],
    ],
  );
  assert.equal(at.stage, 2);
  assert.equal(at.waitingSinceMs, 0);
  const last = nextStageJob({ job: withDraft(at, draftOf({ model: 'c' })), rules }, 99);
  assert.equal(last.stage, 3);
  const none = rulesOf({ limits: [{ tools: false }, { tools: false }] });
  assert.equal(skipUnfit({ job: jobOf({ body }), rules: none }, 1).stage, 1);
});

test('a middle stage that cannot take a document is skipped at the hand-off', () => {
  const rules = threeStageRules({ limits: [{}, { contextTokens: 1 }] });
  const body = { messages: [{ role: 'user', content: 'x'.repeat(100) }] };
  const next = nextStageJob({ job: withDraft(jobOf({ body }), draftOf()), rules }, 50);
  assert.equal(next.stage, 2);
  assert.deepEqual(
    next.drafts.map(({ reason }) => reason),
    ['low_confidence', 'too_long'],
  );
});

const limits = fc.record({
  contextTokens: fc.option(fc.integer({ min: 1, max: 40 })),
  images: fc.boolean(),
  tools: fc.boolean(),
});
const bodies = fc.record({ characters: fc.nat(200), image: fc.boolean(), tools: fc.boolean() });

test('over any rules: stages only go up, every stage before has one draft, and each step takes at least one', () => {
  fc.assert(
    fc.property(fc.array(limits, { minLength: 2, maxLength: 8 }), bodies, (all, { characters, image, tools }) => {
      const rules = rulesOf({ models: all.map((_, at) => `m${at}`), limits: all });
      const content = [{ type: 'text', text: 'x'.repeat(characters) }, ...(image ? [{ type: 'image_url' }] : [])];
      const body = { messages: [{ role: 'user', content }], ...(tools ? { tools: [{}] } : {}) };
      const isFit = (stage: number): boolean => {
        const { contextTokens = null, images = true, tools: own = true } = all[stage] ?? {};
        return (own || !tools) && (images || !image) && (contextTokens === null || characters / 6 <= contextTokens);
      };
      let job = skipUnfit({ job: jobOf({ body }), rules }, 0);
      const asked: number[] = [];
      for (;;) {
        assert.equal(job.drafts.length, job.stage);
        assert.deepEqual(
          job.drafts.map(({ model }) => model),
          all.slice(0, job.stage).map((_, at) => `m${at}`),
        );
        asked.push(job.stage);
        if (isLastStage(rules, job.stage)) break;
        const before = job.stage;
        job = nextStageJob({ job: withDraft(job, draftOf({ model: `m${job.stage}` })), rules }, job.stage + 1);
        assert.ok(job.stage > before);
        assert.deepEqual([job.usedAttempts, job.attempts], [0, []]);
      }
      const wanted = all.flatMap((_, at) => (at === all.length - 1 || isFit(at) ? [at] : []));
      assert.deepEqual(asked, wanted);
      assert.ok(job.drafts.every(({ attempts }, at) => (attempts.length === 0) === !asked.includes(at)));
    }),
  );
});

test('a job is JSON: what comes back from Redis is what was put there', () => {
  fc.assert(
    fc.property(endedDocuments, ({ document: { job } }) => {
      const read = JSON.parse(JSON.stringify(job)) as typeof job;
      assert.deepEqual(JSON.stringify(read), JSON.stringify(job));
    }),
  );
});
