import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Scripted } from '../support/model-server.ts';
import { System } from '../support/system.ts';
import { docIds, wholeResults } from '../support/whole.ts';

const refusal: Scripted = {
  kind: 'status',
  status: 400,
  body: { error: { message: "'logprobs' is not supported by this model" } },
};

test('a drafter without log-probs is told before its first document is paid for, and is not sent them', async () => {
  const answer = Promise.withResolvers<void>();
  await using system = await System.create({
    drafter: {
      check: async ({ body }) => {
        await answer.promise;
        return 'logprobs' in body ? refusal : { kind: 'completion' };
      },
      answer: ({ body }) => ('logprobs' in body ? refusal : { kind: 'completion' }),
    },
  });
  await Promise.all([system.run('api'), system.run('dispatcher'), system.run('expert')]);
  await system.admitted();
  const batch = await system.submit(docIds(20));
  await system.settled(batch.id, ({ status }) => status === 'in_progress');
  const starting = system.run('drafter');
  await system.drafterModel.waitForChecks(1);
  assert.equal(system.drafterModel.received, 0);
  answer.resolve();
  const drafter = await starting;
  const told = await drafter.waitFor(({ msg }) => msg === 'every document will escalate');
  assert.equal(told['tier'], 'drafter.small');
  assert.match(
    String(told['reason']),
    /refuses log-probs \('logprobs' is not supported by this model\): without them sum_logprob cannot judge/,
  );
  const { output } = await wholeResults(system, await system.settled(batch.id), docIds(20));
  assert.equal(output.length, 20);
  assert.equal(system.drafterModel.received, 20, 'no document was refused first');
  assert.equal(drafter.lines.filter(({ msg }) => msg === 'every document will escalate').length, 1);
  await drafter.waitFor(({ msg }) => msg === 'the model was checked');
  const shown = (await system.client.models.retrieve('test')) as unknown as {
    spillway: { servers: { name: string; found: { log_probs: boolean; refused: string[] } | null }[] };
  };
  assert.deepEqual(
    shown.spillway.servers.map(({ name, found }) => [name, found?.log_probs, found?.refused]),
    [
      ['small', false, ['logprobs', 'top_logprobs']],
      ['large', true, []],
    ],
  );
});

test('a server that is not up yet is waited for, saying so, and what the operator must mend is told at start', async () => {
  await using system = await System.create({ models: { large: { base_url: 'http://127.0.0.1:9/v1' } } });
  const { drafterModel } = system;
  await drafterModel.stop();
  const drafter = await system.run('drafter');
  await drafter.waitFor(({ msg }) => msg === 'waiting for the model server');
  await drafterModel.restart();
  await drafter.waitFor(({ msg }) => msg === 'the model server is there');
  await drafter.waitFor(({ msg }) => msg === 'the model was checked');
  assert.equal(drafterModel.received, 0);

  const base_url = `http://127.0.0.1:${drafterModel.port}`;
  await using other = await System.create({ redisServer: system.redis, models: { small: { base_url } } });
  const wrong = await other.run('drafter');
  const told = await wrong.waitFor(({ msg }) => msg === 'the model cannot be asked');
  assert.equal(told['level'], 'error');
  assert.match(
    String(told['reason']),
    /models\.small\.base_url answered 404 to \/chat\/completions: should it end in \/v1/,
  );
  await wrong.stop();
  const off = await other.run('drafter', { SPILLWAY_CHECK_MODELS: 'off' });
  assert.equal(await off.stop(), 0);
  assert.deepEqual(
    off.lines.map(({ msg }) => msg).filter((msg) => String(msg).includes('model')),
    [],
  );
});
