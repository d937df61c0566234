import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Queues } from '@spillway/redis';
import { startTestApi, type TestApi } from '../api/api-under-test.ts';
import { WatchedPage } from '../support/browser.ts';
import { jobOf } from '../support/jobs.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { sharedBrowser } from './browsing.ts';

const seen = sharedBrowser();
const KEYS = [
  { key: 'key-admin', tenant: 'ops', role: 'admin' },
  { key: 'key-tenant', tenant: 'a' },
] as const;

let redis: RedisServer;
let api: TestApi;

before(async () => {
  redis = await startRedis();
  api = await startTestApi({ redisUrl: redis.url, keys: KEYS, servesBullBoard: true });
});
after(async () => {
  await api[Symbol.asyncDispose]();
  await redis.stop();
});

const basic = (key: string): string => `Basic ${Buffer.from(`me:${key}`).toString('base64')}`;

test('bull-board is served to admins, by their key as a password, and changes nothing', async () => {
  await using queues = new Queues(api.store);
  await queues.add('drafter.small', [jobOf({ batch: 'batch_1', document: 7 })], () => 1);
  const ask = (path: string, authorization: string | null, method = 'GET') =>
    fetch(`${api.url}/bull-board${path}`, { method, headers: authorization === null ? {} : { authorization } });
  for (const path of ['', '/', '/api/queues', '/static/favicon.ico', '/queue/drafter.small']) {
    const refused = await ask(path, null);
    assert.equal(refused.status, 401, path);
    assert.equal(refused.headers.get('www-authenticate'), 'Basic realm="Spillway"');
    assert.equal((await ask(path, basic('wrong'))).status, 401, path);
    assert.equal((await ask(path, basic('key-tenant'))).status, 403, path);
  }
  for (const authorization of [basic('key-admin'), 'Bearer key-admin']) {
    const page = await ask('/', authorization);
    assert.equal(page.status, 200);
    assert.match(page.headers.get('content-security-policy') ?? '', /default-src 'none'/);
    assert.match(page.headers.get('content-type') ?? '', /^text\/html/);
  }
  const listed = await ask('/api/queues?activeQueue=drafter.small&page=1', basic('key-admin'));
  const { queues: shown } = (await listed.json()) as { queues: { name: string; counts: Record<string, number> }[] };
  assert.deepEqual(
    shown.map(({ name, counts }) => [name, counts['prioritized']]),
    [
      ['drafter.small', 1],
      ['expert.large', 0],
    ],
  );
  const changes = [
    ['PUT', '/api/queues/drafter.small/pause'],
    ['PUT', '/api/queues/drafter.small/obliterate'],
    ['PUT', '/api/queues/pause'],
    ['POST', '/api/queues/drafter.small/add'],
  ] as const;
  for (const [method, path] of changes) assert.equal((await ask(path, basic('key-admin'), method)).status, 404, path);
  assert.equal(await queues.of('drafter.small').isPaused(), false);
  assert.equal((await queues.depth('drafter.small')).waiting, 1);
});

test('it is off unless somebody wants it', async () => {
  await using other = await startTestApi({ redisUrl: redis.url, keys: KEYS });
  assert.equal(
    (await fetch(`${other.url}/bull-board`, { headers: { authorization: basic('key-admin') } })).status,
    404,
  );
});

test('without keys it is for pages and names of this machine only', async () => {
  await using other = await startTestApi({ redisUrl: redis.url, servesBullBoard: true });
  assert.equal((await fetch(`${other.url}/bull-board/`)).status, 200);
  const foreign = { headers: { origin: 'http://elsewhere.example' } };
  assert.equal((await fetch(`${other.url}/bull-board/api/queues`, foreign)).status, 403);
});

test('a browser shows the queues with it, and asks nobody else', async (context) => {
  const window = seen(context);
  if (window === null) return;
  const httpCredentials = { username: 'ops', password: 'key-admin' };
  await using watched = await WatchedPage.open(window, `${api.url}/bull-board/`, { httpCredentials });
  await watched.page.getByText('drafter.small').first().waitFor();
  await watched.page.getByText('expert.large').first().waitFor();
});
