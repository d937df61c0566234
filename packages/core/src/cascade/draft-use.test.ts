import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attemptOf, FAILURE, jobOf } from '../../../../test/support/jobs.ts';
import { hasFailedBefore } from './draft-use.ts';

test('a document is asked plainly once a call about it has failed, was refused, or went down with its server', () => {
  assert.equal(hasFailedBefore(jobOf()), false);
  assert.equal(hasFailedBefore(jobOf({ attempts: [attemptOf({ error: FAILURE })] })), true);
  // Else each refusal of a call would have the calls before it made, and paid for, once more.
  assert.equal(hasFailedBefore(jobOf({ refused: { times: 1, atMs: 5 } })), true);
  assert.equal(hasFailedBefore(jobOf({ breaks: 1 })), true);
});
