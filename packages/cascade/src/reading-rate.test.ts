import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newJob, withDraft, type DocumentJob, type Draft, type JsonObject } from '@spillway/core';
import { ReadingRate } from './reading-rate.ts';

/** A document whose text has so many characters, and what a drafter's server counted of it; null: nobody drafted it. */
function jobOf(characters: number, drafted: number | null, more: Partial<Draft> = {}): DocumentJob {
  const place = { batch: 'b', document: 0, page: 0, place: 0, customId: 'a', cascade: 'c', sampled: false };
  const body = { messages: [{ role: 'user', content: 'x'.repeat(characters) }] };
  const times = { enqueuedAtMs: 0, deadlineMs: 1 };
  const job = newJob({ ...place, ...times, endpoint: '/v1/chat/completions', body });
  if (drafted === null) return job;
  const usage = { inputTokens: drafted, cachedTokens: 0, outputTokens: 1, reasoningTokens: 0 };
  const answer = { status: 200, requestId: null, body: { usage: { prompt_tokens: drafted } }, usage };
  return withDraft(job, { model: 'm', ask: 'answer', answer, reason: 'low_confidence', ...more } as Draft);
}

test('where nobody drafted a document what was read of others says how much is read of it', () => {
  const rate = new ReadingRate();
  const job = jobOf(400, null);
  assert.equal(rate.tokensOf(job, job.body), 100);
  rate.note(job, job.body, 400);
  assert.equal(rate.tokensOf(job, job.body), 400);
  rate.note(job, job.body, 0);
  assert.equal(rate.tokensOf(job, job.body), 400, 'a server that does not count says nothing');
});

test('processes that have seen other documents estimate a drafted one alike', () => {
  const [digits, none] = [new ReadingRate(), new ReadingRate()];
  // Of a document of digits, each of which is a token.
  const odd = jobOf(400, 400);
  digits.note(odd, odd.body, 400);
  const job = jobOf(400, 93);
  assert.deepEqual([digits.tokensOf(job, job.body), none.tokensOf(job, job.body)], [93, 93]);
  const messages = [...(job.body['messages'] as object[]), { role: 'assistant', content: 'x'.repeat(400) }];
  const longer = { ...job.body, messages, continue_final_message: true, add_generation_prompt: false } as JsonObject;
  assert.equal(none.tokensOf(job, longer), 186, 'what comes to its texts counts with it, and no setting does');
});

test('a model that cuts text into more tokens than the drafter is known by its answers', () => {
  const rate = new ReadingRate();
  for (const drafted of [80, 120]) {
    const job = jobOf(400, drafted);
    rate.note(job, job.body, 1.5 * drafted);
  }
  const job = jobOf(400, 100);
  assert.equal(rate.tokensOf(job, job.body), 150);
});

test('a draft that was given up, and one whose server does not count, say nothing', () => {
  const rate = new ReadingRate();
  for (const job of [jobOf(400, 90, { stopped: { scoreAtMost: 0, isEstimated: true } }), jobOf(400, 0)]) {
    assert.equal(rate.tokensOf(job, job.body), 100);
  }
});
