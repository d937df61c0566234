import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { NO_USAGE } from '../../accounting/counts.ts';
import { newJob, type DocumentJob, type Refused, type Unproven } from '../../document/job.ts';
import {
  afterBreak,
  afterOwnFailure,
  afterRefusal,
  areAllSuspects,
  blameFor,
  charged,
  isAskedAlone,
  isRefusedForItself,
  NO_SUSPECTS,
  withSuspect,
} from './index.ts';

const unproven = (failedAtMs: number, cause: Unproven['cause'] = 'ambiguous'): Unproven => ({
  stage: 0,
  cause,
  answer: null,
  error: { code: 'server_error', message: 'status 500' },
  why: { type: '500', message: 'status 500' },
  startedAtMs: failedAtMs - 10,
  endedAtMs: failedAtMs,
  failedAtMs,
});

const job = (failedAtMs: number): DocumentJob => ({
  ...newJob({
    batch: 'b',
    document: 0,
    page: 0,
    place: 0,
    customId: 'a',
    cascade: 'test',
    endpoint: '/v1/chat/completions',
    body: {},
    sampled: false,
    enqueuedAtMs: 0,
    deadlineMs: 1,
  }),
  unproven: unproven(failedAtMs),
});

test('only refusals with an answer to somebody else in between count against a document', () => {
  let refused: Refused = afterRefusal(undefined, 0, 1_000);
  assert.deepEqual(refused, { times: 1, atMs: 1_000 }, 'the first one counts, whoever was answered');
  refused = afterRefusal(refused, 900, 2_000);
  assert.deepEqual(refused, { times: 1, atMs: 2_000 }, 'nobody was answered since');
  for (let times = 2; times <= 4; times += 1) {
    refused = afterRefusal(refused, refused.atMs + 1, refused.atMs + 1_000);
    assert.equal(refused.times, times);
    assert.equal(isRefusedForItself(refused), times > 3);
  }
});

test('a failure is the server’s if the breaker was open since or others broke with it, the document’s if others were answered, else unknown', () => {
  const facts = { nowMs: 2_000, closedAtMs: 0, workedAtMs: 0, brokeTogether: false };
  const failed = { failedAtMs: 1_000 };
  assert.equal(blameFor(failed, facts), 'unknown');
  assert.equal(blameFor(failed, { ...facts, workedAtMs: 1_000 }), 'unknown', 'it began before the failure');
  assert.equal(blameFor(failed, { ...facts, workedAtMs: 1_001 }), 'document');
  assert.equal(blameFor(failed, { ...facts, workedAtMs: 1_500, closedAtMs: 1_400 }), 'server');
  assert.equal(blameFor(failed, { ...facts, workedAtMs: 1_500, closedAtMs: 900 }), 'document');
  assert.equal(blameFor(failed, { ...facts, workedAtMs: 1_500, brokeTogether: true }), 'server');
  assert.equal(blameFor(failed, { ...facts, workedAtMs: 9_000, closedAtMs: 9_000 }), 'unknown', 'another clock');
});

test('who is there each time that a server breaks down is asked alone from the second time on, and pays from the fourth', () => {
  let now = job(1_000);
  for (const breaks of [1, 2, 3]) {
    now = afterBreak({ ...now, unproven: unproven(1_000) }, 4);
    assert.deepEqual([now.breaks, now.unproven, now.usedAttempts], [breaks, undefined, 0]);
    assert.equal(isAskedAlone(now), breaks >= 2);
  }
  for (const used of [1, 2, 3]) {
    now = afterBreak({ ...now, unproven: unproven(1_000) }, 4);
    assert.deepEqual([now.breaks, now.unproven, now.usedAttempts], [3, undefined, used]);
  }
  assert.equal(afterBreak({ ...now, unproven: unproven(1_000) }, 4).unproven?.failedAtMs, 1_000, 'its last word');
});

test('a call that was begun when its server had gone already shows nothing, up to a dozen times', () => {
  let now = job(1_000);
  const found = (wasGone: boolean): void => {
    now = afterBreak({ ...now, unproven: { ...unproven(1_000), ...(wasGone ? { wasGone } : {}) } }, 4);
  };
  for (let times = 1; times <= 12; times += 1) found(true);
  assert.deepEqual([now.foundGone, now.breaks, now.usedAttempts], [12, undefined, 0]);
  found(false);
  assert.deepEqual([now.breaks, now.usedAttempts], [1, 0], 'its first break all the same');
  for (let times = 0; times < 3; times += 1) found(true);
  assert.deepEqual([now.breaks, now.usedAttempts], [3, 1], 'no document is asked about for ever');
});

test('a call that was begun when its server had gone, and brought nothing, counts as a break though others were answered', () => {
  const found = (now: DocumentJob, more: Partial<Unproven>): DocumentJob =>
    afterOwnFailure({ ...now, unproven: { ...unproven(1_000), ...more } }, 9);
  const toldOf = ({ breaks = 0, usedAttempts, unproven: left }: DocumentJob) => [breaks, usedAttempts, left];
  let now = job(1_000);
  for (const breaks of [1, 2, 3]) {
    now = found(now, { wasGone: true });
    assert.deepEqual(toldOf(now), [breaks, 0, undefined]);
  }
  assert.deepEqual(
    toldOf(found(now, { wasGone: true })),
    [3, 1, undefined],
    'a document that breaks its own calls ends',
  );
  const answer = { status: 500, requestId: null, body: {}, usage: NO_USAGE };
  for (const more of [{}, { wasGone: true, answer }]) {
    assert.deepEqual(toldOf(found(job(1_000), more)), [0, 1, undefined], 'whoever answers is there');
  }
});

test('a failure of its own uses an attempt; the last one, and a refusal, is its last word', () => {
  const one = charged(job(1_000), 4);
  assert.equal(one.usedAttempts, 1);
  assert.deepEqual(one.attempts, [
    { sinceMs: 0, startedAtMs: 990, endedAtMs: 1_000, error: { type: '500', message: 'status 500' } },
  ]);
  assert.deepEqual([one.waitingSinceMs, one.unproven], [1_000, undefined]);
  const isLastWord = (usedAttempts: number, maxAttempts: number, cause: Unproven['cause'] = 'ambiguous'): boolean => {
    const failed = { ...job(1_000), usedAttempts, unproven: unproven(1_000, cause) };
    return charged(failed, maxAttempts) === failed;
  };
  assert.deepEqual(
    [0, 1, 2, 3].map((used) => isLastWord(used, 4)),
    [false, false, false, true],
  );
  assert.ok(isLastWord(0, 4, 'operator'));
  assert.ok(isLastWord(0, 1));
});

test('several documents that fail in a row are everybody once nobody else may yet be answered, many in any case', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(12), { maxLength: 40 }), fc.nat(3), (failures, before) => {
      let suspects = NO_SUSPECTS;
      for (const [at, one] of failures.entries()) suspects = withSuspect(suspects, String(one), 100 + at);
      const distinct = new Set(failures).size;
      assert.equal(areAllSuspects(suspects, before), distinct >= 8 || (distinct >= 2 && before === 0));
      if (failures.length > 0) assert.equal(suspects.sinceMs, 100);
    }),
  );
});
