import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startTestApi } from '../api/api-under-test.ts';
import { WatchedPage } from '../support/browser.ts';
import { startRedis } from '../support/redis.ts';
import { sharedSystem } from '../support/shared-system.ts';
import { System } from '../support/system.ts';
import { sharedBrowser } from './browsing.ts';

const seen = sharedBrowser();
const shared = sharedSystem(() => System.start());

const homeOf = ({ client }: System): string => client.baseURL.replace(/v1$/, '');

test('batches are seen as they go, found, and cancelled', async (context) => {
  const window = seen(context);
  if (window === null) return;
  const system = await shared();
  const home = homeOf(system);
  await using watched = await WatchedPage.open(window, home);
  const { page } = watched;
  await page.getByText('There is no batch yet.').waitFor();
  const { id } = await system.submit(['[[unsure]] a', 'b', '[[hang]] c']);
  // It came by itself.
  const row = page.getByRole('row').filter({ hasText: id });
  await row.getByText('2 of 3').waitFor();
  await row.getByRole('img', { name: '1 by a drafter, 1 by the expert, 1 to do' }).waitFor();
  await page.getByRole('searchbox').fill('nothing like that');
  await page.getByText('No batch is like that.').waitFor();
  await page.getByRole('searchbox').fill(id.slice(6, 16));
  await watched.assertAccessible();
  await row.getByRole('link').press('Enter');
  await page.getByRole('heading', { level: 1, name: id }).waitFor();
  await page.getByText('low confidence 1').waitFor();
  await page.getByRole('button', { name: 'Pause' }).press('Enter');
  await page.locator('h1 .paused').waitFor();
  await page.getByText('somebody paused the batch').waitFor();
  await page.getByRole('button', { name: 'Go first' }).press('Enter');
  await page.getByRole('button', { name: 'Go first', pressed: true }).waitFor();
  await page.getByRole('button', { name: 'Resume' }).press('Enter');
  await page.locator('h1 .paused').waitFor({ state: 'detached' });
  page.once('dialog', (dialog) => void dialog.accept());
  await page.getByRole('button', { name: 'Cancel' }).press('Enter');
  await page.locator('h1 .status', { hasText: 'cancelled' }).waitFor();
  await page.getByText('1 not answered', { exact: true }).waitFor();
  await watched.assertAccessible();
});

test('a batch is looked at, decided by another threshold, and its answers are saved', async (context) => {
  const window = seen(context);
  if (window === null) return;
  const system = await shared();
  const home = homeOf(system);
  const { id } = await system.submit(['[[unsure]] d', 'e', 'f', '[[expert status 400]][[unsure]] g']);
  await system.settled(id);
  await system.client.post(`/batches/${id}/reviews`, { body: { custom_id: 'doc-1', verdict: 'accepted' } });
  await system.client.post(`/batches/${id}/reviews`, {
    body: { custom_id: 'doc-2', verdict: 'corrected', answer: 'another' },
  });
  await using watched = await WatchedPage.open(window, `${home}#/batches/${id}`, { colorScheme: 'dark' });
  const { page } = watched;
  await page.getByRole('img', { name: /Confidence of 4 drafts of small: 2 of them \.9 or more/ }).waitFor();
  await page.getByText('1 × 400').waitFor();
  await watched.assertAccessible();
  const slider = page.getByRole('slider');
  assert.equal(await slider.inputValue(), '0.8');
  await slider.fill('0');
  await page.getByText('0 % would be escalated').waitFor();
  await page.getByText(/of 4 documents 3 answers stay and 0 are asked about|4 answers stay/).waitFor();
  const accuracy = page.locator('p', { hasText: 'whose right answer is known' });
  const says = (words: string) => accuracy.filter({ hasText: words }).waitFor();
  await says('Of 2 documents whose right answer is known 50 % are right as they are, and 50 % would be right.');
  await slider.fill('1');
  await says('0 % to 100 % would be right, as 2 are asked about');
  await slider.fill('0');
  await says('50 % would be right.');
  const saved = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Download the answers' }).click();
  const stream = await (await saved).createReadStream();
  const lines = Buffer.concat(await Array.fromAsync(stream as AsyncIterable<Buffer>)).toString();
  assert.equal(lines.trim().split('\n').length, 3);
  await page.getByRole('button', { name: 'Decide anew by 0.000' }).click();
  await page.waitForURL((url) => !url.hash.endsWith(id) && url.hash.startsWith('#/batches/'));
  await page.locator('h1 .status', { hasText: 'completed' }).waitFor();
  await page.getByRole('listitem').getByText('4 kept from before').waitFor();
});

test('a page fits a phone', async (context) => {
  const window = seen(context);
  if (window === null) return;
  const system = await shared();
  const home = homeOf(system);
  const { id } = await system.submit(['[[unsure]] h', 'i']);
  await system.settled(id);
  await using watched = await WatchedPage.open(window, home, { viewport: { width: 360, height: 740 } });
  await watched.page.getByRole('row').filter({ hasText: id }).waitFor();
  await watched.assertFits();
  await watched.assertAccessible();
  await watched.page.getByRole('row').filter({ hasText: id }).getByRole('link').click();
  await watched.page.getByRole('heading', { name: 'How sure the drafts were' }).waitFor();
  await watched.assertFits();
  await watched.assertAccessible();
});

test('the key stays in the tab, and two tenants see nothing of each other', async (context) => {
  const window = seen(context);
  if (window === null) return;
  await using redis = await startRedis();
  const keys = ['a', 'b'].map((tenant) => ({ key: `key-${tenant}`, tenant }));
  await using api = await startTestApi({ redisUrl: redis.url, keys });
  const order = { endpoint: '/v1/chat/completions', completion_window: '24h' } as const;
  const { id } = await api.client('key-a').batches.create({ ...order, input_file_id: 'x' });
  const expected = [/401|404/];
  await using own = await WatchedPage.open(window, api.url, { expected });
  await own.page.getByLabel('API key').fill('wrong');
  await own.page.keyboard.press('Enter');
  await own.page.getByRole('alert').waitFor();
  await own.assertAccessible();
  await own.page.getByLabel('API key').fill('key-a');
  await own.page.keyboard.press('Enter');
  await own.page.getByRole('row').filter({ hasText: id }).waitFor();
  assert.equal(await own.page.evaluate('localStorage.length + document.cookie.length'), 0);
  await own.page.reload();
  await own.page.getByRole('row').filter({ hasText: id }).waitFor();
  const another = await own.page.context().newPage();
  await another.goto(api.url);
  await another.getByLabel('API key').waitFor();
  await using other = await WatchedPage.open(window, `${api.url}#/batches/${id}`, { expected });
  await other.page.getByLabel('API key').fill('key-b');
  await other.page.keyboard.press('Enter');
  await other.page.getByRole('alert').filter({ hasText: id }).waitFor();
  await own.page.getByRole('button', { name: 'Forget the key' }).click();
  await own.page.getByLabel('API key').waitFor();
});

test('the policy of the page lets in nothing that stands in it or comes from elsewhere', async (context) => {
  if (seen(context) === null) return;
  const home = homeOf(await shared());
  const answer = await fetch(home);
  const policy = answer.headers.get('content-security-policy') ?? '';
  assert.doesNotMatch(policy, /unsafe|https?:|\*/);
  assert.match(policy, /default-src 'none'/);
  assert.equal((await fetch(`${home}console/app/../../package.json`)).status, 404);
  assert.equal((await fetch(`${home}console/%2e%2e/package.json`)).status, 404);
  const etag = answer.headers.get('etag') ?? assert.fail();
  assert.equal((await fetch(home, { headers: { 'if-none-match': etag } })).status, 304);
});
