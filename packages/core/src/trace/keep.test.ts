import assert from 'node:assert/strict';
import { test } from 'node:test';
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
import type { Ending } from '../document/ending.ts';
import { afterFailure, withDraft, type CascadeDocument } from '../document/job.ts';
import { nextStageJob } from '../document/next-stage.ts';
import { isDrawn } from './ids.ts';
import { drawnShare, keptAtMost, keptKind } from './keep.ts';

test('what is drawn of a batch is near its share, the same for everybody, and the whole of a small one', () => {
  const documents = 20_000;
  const share = drawnShare(1_000, documents);
  const drawn = Array.from({ length: documents }, (_, document) => isDrawn({ batch: 'b', document }, share));
  const count = drawn.filter(Boolean).length;
  assert.ok(count > 420 && count < 580, `${count} for 500`);
  assert.equal(drawnShare(1_000, 500), 1);
  assert.equal(drawnShare(0, 10), 0);
  assert.equal(drawnShare(10, 0), 0);
  assert.equal(keptAtMost(1_000) + keptAtMost(1_000), 500);
});

const rules = rulesOf();
const job = jobOf({ enqueuedAtMs: 1_000 });
const kind = (document: CascadeDocument, ending: Ending) => keptKind(document, ending, 500);

test('failed comes before slow, slow before escalated', () => {
  const draft = draftOf({ attempts: [attemptOf({ sinceMs: 1_000 })] });
  const document = { job: nextStageJob({ job: withDraft(job, draft), rules }, 1_300), rules };
  assert.equal(kind(document, answeredAt(1_400, 1_800)), 'escalated');
  assert.equal(kind(document, answeredAt(1_400, 2_000)), 'slow');
  assert.equal(kind(document, answeredAt(0, 9_000, answerOf({ status: 400 }))), 'failed');
  const error = { code: 'request_timeout', message: 'late' };
  assert.equal(kind(document, { kind: 'failed', error, why: FAILURE, startedAtMs: 0, endedAtMs: 1 }), 'failed');
  const attempts = [attemptOf({ sinceMs: 1_000 })];
  assert.equal(kind({ job, rules }, { kind: 'accepted', draft: acceptedDraftOf({ attempts }) }), null);
  assert.equal(kind(document, { kind: 'deadline_draft', stage: 0 }), 'escalated');
});

test('slow is any call of any stage, waiting is not', () => {
  const own = threeStageRules();
  const tried = afterFailure(job, 1, { startedAtMs: 1_010, endedAtMs: 1_600 }, FAILURE);
  const slow = draftOf({ attempts: [...tried.attempts, attemptOf({ sinceMs: 1_600 })] });
  const late = draftOf({ attempts: [attemptOf({ sinceMs: 1_000, startedAtMs: 90_000 })] });
  const ending = { kind: 'accepted', draft: acceptedDraftOf({ model: 'medium' }) } as const;
  const after = (draft: typeof slow) => ({
    job: nextStageJob({ job: withDraft(job, draft), rules: own }, 0),
    rules: own,
  });
  assert.equal(kind(after(slow), ending), 'slow');
  assert.equal(kind(after(late), ending), 'escalated');
});
