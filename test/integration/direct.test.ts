import assert from 'node:assert/strict';
import { test } from 'node:test';
import OpenAI from 'openai';
import { System, until } from '../support/system.ts';

type Cascade = {
  readonly cascade?: { readonly tier: string; readonly escalated: boolean; readonly reason: string | null };
};

/** Only an API: answers at once need neither a dispatcher nor workers. */
async function start(env: Readonly<Record<string, string>> = {}): Promise<System> {
  const system = await System.create({ models: { small: { max_tries: 2 }, large: { max_tries: 2 } }, env });
  await system.run('api');
  return system;
}

const ask = (system: System, content: string): Promise<OpenAI.ChatCompletion & Cascade> =>
  system.client.chat.completions.create({ model: 'test', messages: [{ role: 'user', content }] });

test('one document is answered through the cascade at once, by the rules of a batch', async () => {
  await using system = await start();
  const sure = await ask(system, '[[confident]]');
  assert.deepEqual([sure.cascade?.tier, sure.cascade?.escalated, sure.cascade?.reason], ['draft', false, null]);
  assert.match(sure.choices[0]?.message.content ?? '', /^answer to/);
  assert.equal(sure.choices[0]?.logprobs, null);
  for (const [prompt, reason] of [
    ['[[drafter unsure]]', 'low_confidence'],
    ['[[drafter nologprobs]]', 'no_logprobs'],
    ['[[drafter status 400]]', 'drafter_rejected'],
    ['[[drafter status 500]]', 'draft_failed'],
  ] as const) {
    const answer = await ask(system, prompt);
    assert.deepEqual([answer.cascade?.tier, answer.cascade?.reason], ['expert', reason], prompt);
  }
  const retried = await ask(system, '[[drafter status 500 x1]]');
  assert.equal(retried.cascade?.tier, 'draft');
  const completion = await system.client.completions.create({ model: 'test', prompt: '[[drafter unsure]] a' });
  assert.equal((completion as Cascade).cascade?.tier, 'expert');
  const response = await system.client.responses.create({ model: 'test', input: 'a' });
  assert.equal((response as unknown as Cascade).cascade?.tier, 'draft');
  assert.match(response.output_text, /^answer to/);
});

test('what goes wrong is an error in the envelope', async () => {
  await using system = await start();
  const failure = async (prompt: string): Promise<InstanceType<typeof OpenAI.APIError>> => {
    const error: unknown = await ask(system, prompt).then(
      () => assert.fail('was answered'),
      (thrown: unknown) => thrown,
    );
    assert.ok(error instanceof OpenAI.APIError, String(error));
    return error;
  };
  assert.equal((await failure('[[drafter unsure]] [[expert status 400]]')).status, 400);
  assert.equal((await failure('[[drafter unsure]] [[expert status 500]]')).status, 502);
  assert.equal((await failure('[[drafter unsure]] [[expert reset]]')).status, 502);
  const full = await failure('[[drafter status 429 7]]');
  assert.deepEqual([full.status, full.headers?.get('retry-after')], [503, '7']);
  const { client } = system;
  const messages = [{ role: 'user', content: 'a' }] as const;
  await assert.rejects(
    client.chat.completions.create({ model: 'nope', messages: [...messages] }),
    OpenAI.NotFoundError,
  );
  await assert.rejects(
    client.chat.completions.create({ model: 'test', messages: [...messages], stream: true }),
    /streaming is not supported/,
  );
  await assert.rejects(client.chat.completions.create({ model: 'test', messages: [] }), /'messages'/);
});

test('whoever goes away is not answered: the call to the model ends too', async () => {
  await using system = await start();
  const leaving = new AbortController();
  const call = system.client.chat.completions.create(
    { model: 'test', messages: [{ role: 'user', content: '[[hang]]' }] },
    { signal: leaving.signal },
  );
  await system.drafterModel.waitForRequests(1);
  leaving.abort();
  await assert.rejects(call, OpenAI.APIUserAbortError);
  await until(async () => system.drafterModel.inFlight === 0);
});

test('an API that is told to stop finishes the answers in work, for as long as it may', async () => {
  await using patient = await start({ SPILLWAY_DRAIN_MS: '30000' });
  const answer = ask(patient, '[[hang]]');
  await patient.drafterModel.waitForRequests(1);
  const stopped = patient.services[0]?.stop();
  await patient.services[0]?.waitFor(({ msg }) => msg === 'stopping');
  const releasedAtMs = performance.now();
  patient.drafterModel.release();
  assert.equal((await answer).cascade?.tier, 'draft');
  assert.equal(await stopped, 0);
  assert.ok(performance.now() - releasedAtMs < 10_000, 'and ends then');

  await using hasty = await start({ SPILLWAY_DRAIN_MS: '100' });
  const cut = assert.rejects(ask(hasty, '[[hang]]'), OpenAI.APIConnectionError);
  await hasty.drafterModel.waitForRequests(1);
  const startedAtMs = performance.now();
  assert.equal(await hasty.services[0]?.stop(), 0);
  await cut;
  assert.ok(performance.now() - startedAtMs < 10_000);
});
