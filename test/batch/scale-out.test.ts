import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OpenAI } from 'openai';
import { Autoscaler } from '../support/autoscaler.ts';
import { System, until } from '../support/system.ts';
import { docIds, wholeResults } from '../support/whole.ts';

const DOCUMENTS = 2_400;
const prompts = Array.from({ length: DOCUMENTS }, (_, index) =>
  index % 3 === 0 ? `[[drafter unsure]] ${index}` : `${index}`,
);

const done = (batch: OpenAI.Batch): number => batch.request_counts?.completed ?? 0;

test('tiers grow to four drafters and three experts and shrink again under load: nothing is lost or repeated', async (t) => {
  await using system = await System.create({
    drafter: { latencyMs: 120 },
    expert: { latencyMs: 200 },
    models: {
      small: { concurrency: 4, scaling: { drain_s: 4, max_replicas: 4 } },
      large: { concurrency: 4, scaling: { drain_s: 4, max_replicas: 3 } },
    },
    env: { HEALTH_PORT: '0' },
  });
  const [api] = await Promise.all([
    system.run('api'),
    system.run('dispatcher'),
    system.run('drafter'),
    system.run('expert'),
  ]);
  await system.admitted();
  const { id } = await system.submit(prompts);
  const rate = async (from: number, to: number): Promise<number> => {
    await system.drafterModel.waitForRequests(from);
    const startedAtMs = performance.now();
    await system.drafterModel.waitForRequests(to);
    return ((to - from) * 1_000) / (performance.now() - startedAtMs);
  };
  const byOne = await rate(50, 200);

  await using autoscaler = new Autoscaler(system, api, [
    { service: 'drafter', model: 'small' },
    { service: 'expert', model: 'large' },
  ]);
  await until(async () => autoscaler.replicas('drafter') === 4 && autoscaler.replicas('expert') === 3);
  const asked = system.drafterModel.requests.length;
  const byFour = await rate(asked, asked + 600);
  t.diagnostic(`drafts per second: ${byOne.toFixed(0)} with one drafter, ${byFour.toFixed(0)} with four`);
  assert.ok(byFour > 2 * byOne, `${byOne} with one, ${byFour} with four`);

  const shrinking = await system.settled(id, () => autoscaler.removed.length > 0);
  assert.ok(done(shrinking) < DOCUMENTS, 'replicas went while there was work');
  const { errors } = await wholeResults(system, await system.settled(id), docIds(DOCUMENTS));
  assert.deepEqual(errors, []);
  await until(async () => autoscaler.replicas('drafter') === 1 && autoscaler.replicas('expert') === 1);
  assert.ok(
    autoscaler.removed.every((code) => code === 0),
    JSON.stringify(autoscaler.removed),
  );
  assert.equal(system.drafterModel.requests.length, DOCUMENTS, 'nobody was asked twice, though replicas went');
  assert.equal(system.expertModel.requests.length, DOCUMENTS / 3);
  for (const { service, replicas } of autoscaler.readings) assert.ok(replicas <= (service === 'drafter' ? 4 : 3));
});
