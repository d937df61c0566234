import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sharedSystem } from '../support/shared-system.ts';
import { System } from '../support/system.ts';

/** A prompt, then tier and reason that must come of it; null for an error line. */
const OUTCOMES: readonly [prompt: string, tier: 'drafter' | 'expert', reason: string | null, status: number | null][] =
  [
    ['[[confident]] a', 'drafter', null, 200],
    ['[[drafter unsure]] b', 'expert', 'low_confidence', 200],
    ['[[drafter nologprobs]] c', 'expert', 'no_logprobs', 200],
    ['[[drafter zerologprobs]] d', 'expert', 'zero_logprobs', 200],
    ['[[drafter tool]] e', 'expert', 'tool_call', 200],
    ['[[drafter truncate]] f', 'expert', 'truncated', 200],
    ['[[drafter filter]] g', 'expert', 'content_filter', 200],
    ['[[drafter refuse]] h', 'expert', 'refused', 200],
    ['[[drafter empty]] i', 'expert', 'empty_answer', 200],
    ['[[drafter status 400]] j', 'expert', 'drafter_rejected', 200],
    ['[[drafter status 500]] k', 'expert', 'draft_failed', 200],
    ['[[drafter status 500 x1]] l', 'drafter', null, 200],
    ['[[drafter garbage x1]] m', 'drafter', null, 200],
    ['[[drafter status 429 1 x1]] n', 'drafter', null, 200],
    ['[[drafter unsure]] [[expert status 400]] o', 'expert', 'low_confidence', 400],
    ['[[drafter unsure]] [[expert status 500]] p', 'expert', 'low_confidence', 500],
    ['[[drafter unsure]] [[expert reset]] q', 'expert', 'low_confidence', null],
    ['[[drafter unsure]] [[expert truncate]] r', 'expert', 'low_confidence', 200],
  ];

const shared = sharedSystem(() => System.start({ models: { small: { max_attempts: 2 }, large: { max_attempts: 2 } } }));

test('a batch with every outcome in it, through the SDK from upload to download', async () => {
  const system = await shared();
  const submitted = await system.submit(OUTCOMES.map(([prompt]) => prompt));
  assert.equal(submitted.status, 'validating');
  const batch = await system.settled(submitted.id);
  assert.equal(batch.status, 'completed');
  const failures = OUTCOMES.filter(([, , , status]) => status !== 200);
  assert.deepEqual(batch.request_counts, {
    total: OUTCOMES.length,
    completed: OUTCOMES.length - failures.length,
    failed: failures.length,
  });
  const output = await system.lines(batch.output_file_id);
  const errors = await system.lines(batch.error_file_id);
  assert.deepEqual(
    output.map((line) => line.custom_id),
    OUTCOMES.flatMap(([, , , status], index) => (status === 200 ? [`doc-${index}`] : [])),
    'in input order',
  );
  for (const line of [...output, ...errors]) {
    const [prompt, tier, reason, status] = OUTCOMES[Number(line.custom_id.slice(4))] ?? [];
    assert.equal(line.cascade?.role, tier, prompt);
    assert.equal(line.cascade?.stages[0]?.reason, reason, prompt);
    assert.equal(line.response?.status_code ?? null, status, prompt);
    if (status === null) assert.equal(line.error?.code, 'server_error', prompt);
    else assert.equal(line.error, null, prompt);
  }
  const escalated = OUTCOMES.filter(([, tier]) => tier === 'expert').length;
  assert.equal(output.concat(errors).filter((line) => line.cascade?.escalated).length, escalated);
  assert.ok((batch.usage?.total_tokens ?? 0) > 0);
  assert.equal(await leftInRedis(system), 0, 'an ended batch leaves nothing in Redis');
});

/** For the endpoints beside chat: a prompt, then tier and reason. */
const OTHERS: Readonly<Record<string, readonly (readonly [prompt: string, tier: string, reason: string | null])[]>> = {
  '/v1/completions': [
    ['[[confident]] a', 'drafter', null],
    ['[[drafter unsure]] b', 'expert', 'low_confidence'],
    ['[[drafter nologprobs]] c', 'expert', 'no_logprobs'],
    ['[[drafter truncate]] d', 'expert', 'truncated'],
  ],
  '/v1/responses': [
    ['[[confident]] a', 'drafter', null],
    ['[[drafter unsure]] b', 'expert', 'low_confidence'],
    ['[[drafter nologprobs]] c', 'expert', 'no_logprobs'],
    ['[[drafter truncate]] d', 'expert', 'truncated'],
    ['[[drafter filter]] e', 'expert', 'content_filter'],
    ['[[drafter refuse]] f', 'expert', 'refused'],
    ['[[drafter tool]] g', 'expert', 'tool_call'],
  ],
};

test('batches of the older completions and of responses are judged by their own log-probs', async () => {
  const system = await shared();
  for (const endpoint of ['/v1/completions', '/v1/responses'] as const) {
    const asked = OTHERS[endpoint] ?? [];
    const { id } = await system.submit(
      asked.map(([prompt]) => prompt),
      { endpoint },
    );
    const batch = await system.settled(id);
    assert.equal(batch.endpoint, endpoint);
    assert.deepEqual(batch.request_counts, { total: asked.length, completed: asked.length, failed: 0 });
    assert.ok((batch.usage?.output_tokens ?? 0) > 0);
    const lines = await system.lines(batch.output_file_id);
    const decided = lines.map((line, at) => [asked[at]?.[0], line.cascade?.role, line.cascade?.stages[0]?.reason]);
    assert.deepEqual(decided, asked);
    // Log-probs were Spillway's wish, not the client's.
    assert.doesNotMatch(JSON.stringify(lines.map((line) => line.response)), /"logprob"|token_logprobs/);
  }
});

test("limits of lines are the operator's, and told with the line", async () => {
  await using system = await System.start({ env: { SPILLWAY_MAX_LINES: '3', SPILLWAY_MAX_LINE_BYTES: '1024' } });
  const errorsOf = async (prompts: readonly string[]) => {
    const batch = await system.settled((await system.submit(prompts)).id);
    return batch.errors?.data?.map(({ code, line, message }) => [code, line, message]);
  };
  assert.deepEqual(await errorsOf(['a', 'b', 'c', 'd']), [
    ['too_many_tasks', null, 'The input file holds more than 3 requests.'],
  ]);
  assert.deepEqual(await errorsOf(['a', 'x'.repeat(1_024), 'c']), [
    ['line_too_large', 2, 'This line is larger than 1024 bytes.'],
  ]);
  assert.equal(await errorsOf(['a', 'b', 'c']), undefined);
});

/** Keys that belong to batches and documents. */
async function leftInRedis(system: System): Promise<number> {
  const keys = await system.redis.client.keys('{test}:*');
  return keys.filter((key) => /batch_|:page:|:sealed:/.test(key)).length;
}
