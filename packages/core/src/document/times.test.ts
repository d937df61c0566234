import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { attemptOf, FAILURE } from '../../../../test/support/jobs.ts';
import { endedDocuments } from '../../../../test/support/passages.ts';
import { passageOf, stagesOf } from './ending.ts';
import { readTimes, timesOf, writeTimes } from './times.ts';

test('three stages: every part of the way adds up to the whole', () => {
  const stages = [
    { attempts: [attemptOf({ sinceMs: 0, startedAtMs: 10, endedAtMs: 30 })], handedOffAtMs: 35 },
    {
      attempts: [
        attemptOf({ sinceMs: 35, startedAtMs: 40, endedAtMs: 50, error: FAILURE }),
        attemptOf({ sinceMs: 50, startedAtMs: 60, endedAtMs: 90 }),
      ],
      handedOffAtMs: 100,
    },
    { attempts: [attemptOf({ sinceMs: 100, startedAtMs: 200, endedAtMs: 300 })], handedOffAtMs: null },
  ];
  const times = timesOf({ enqueuedAtMs: 0, stages, endedAtMs: 300 });
  assert.deepEqual(times, {
    stages: [
      { queueMs: 10, callMs: 20, handOffMs: 5 },
      { queueMs: 15, callMs: 40, handOffMs: 10 },
      { queueMs: 100, callMs: 100, handOffMs: null },
    ],
    sequentialMs: 200,
    totalMs: 300,
  });
  const parts = times.stages.map((one) => (one?.queueMs ?? 0) + (one?.callMs ?? 0) + (one?.handOffMs ?? 0));
  assert.equal(
    parts.reduce((sum, part) => sum + part, 0),
    times.totalMs,
  );
});

test('a stage that was skipped has no times; the sequential wait ends with the first call of the last stage', () => {
  const skipped = { attempts: [], handedOffAtMs: 0 };
  const asked = { attempts: [attemptOf({ sinceMs: 0, startedAtMs: 70, endedAtMs: 90 })], handedOffAtMs: null };
  const times = timesOf({ enqueuedAtMs: 0, stages: [skipped, asked], endedAtMs: 90 });
  assert.deepEqual(times, {
    stages: [null, { queueMs: 70, callMs: 20, handOffMs: null }],
    sequentialMs: 70,
    totalMs: 90,
  });
  const first = timesOf({ enqueuedAtMs: 0, stages: [asked], endedAtMs: 90 });
  assert.equal(first.sequentialMs, null, 'what the first stage delivered waited for nobody else');
});

test('times of every document: never negative, a tenth of a millisecond, and read back as they were', () => {
  fc.assert(
    fc.property(endedDocuments, ({ document, ending }) => {
      const records = stagesOf(document, ending);
      const times = timesOf(passageOf(document, records));
      const { cascade } = document.job;
      assert.deepEqual(readTimes(writeTimes({ cascade, times })), { cascade, times });
      const all = times.stages.flatMap((one) => (one === null ? [] : [one.queueMs, one.callMs, one.handOffMs ?? 0]));
      for (const ms of [...all, times.sequentialMs ?? 0, times.totalMs]) {
        assert.ok(ms >= 0 && Math.abs(ms * 10 - Math.round(ms * 10)) < 1e-6, `${ms}`);
      }
      assert.equal(times.stages.length, records.length);
      assert.equal(times.sequentialMs !== null, records.length > 1);
    }),
  );
});
