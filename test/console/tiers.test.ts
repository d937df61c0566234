import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startTestApi } from '../api/api-under-test.ts';
import { WatchedPage } from '../support/browser.ts';
import { startRedis } from '../support/redis.ts';
import { System } from '../support/system.ts';
import { sharedBrowser } from './browsing.ts';

const seen = sharedBrowser();

test('an operator sees a tier whose model server takes no key, and that it does again', async (context) => {
  const window = seen(context);
  if (window === null) return;
  let isKnown = true;
  const answer = () => (isKnown ? { kind: 'completion' as const } : { kind: 'status' as const, status: 401 });
  await using system = await System.start({ expert: { answer } });
  const home = system.client.baseURL.replace(/v1$/, '');
  await using watched = await WatchedPage.open(window, `${home}#/tiers`);
  const { page } = watched;
  const tier = (name: string) => page.getByRole('row').filter({ hasText: name });
  await tier('small').getByText('breaker closed').waitFor();
  await tier('large').getByText('log-probs').waitFor();
  await watched.assertAccessible();
  isKnown = false;
  const { id } = await system.submit(['[[unsure]] a', 'b']);
  await tier('large').getByText('does not take the API key').first().waitFor();
  await watched.assertAccessible();
  isKnown = true;
  await system.settled(id);
  await tier('large').getByText('breaker closed').waitFor();
});

test('tiers are for admins', async (context) => {
  const window = seen(context);
  if (window === null) return;
  await using redis = await startRedis();
  const keys = [{ key: 'own', tenant: 'a' }];
  await using api = await startTestApi({ redisUrl: redis.url, keys });
  for (const path of ['tiers', 'tiers/events']) {
    const answer = await fetch(`${api.url}/v1/${path}`, { headers: { authorization: 'Bearer own' } });
    assert.equal(answer.status, 403);
  }
  await using watched = await WatchedPage.open(window, `${api.url}#/tiers`, { expected: [/401|403/] });
  await watched.page.getByLabel('API key').fill('own');
  await watched.page.keyboard.press('Enter');
  await watched.page.getByRole('alert').filter({ hasText: 'admin role' }).waitFor();
});
