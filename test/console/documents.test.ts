import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Scripted } from '../support/model-server.ts';
import { WatchedPage } from '../support/browser.ts';
import { sharedSystem } from '../support/shared-system.ts';
import { System, until } from '../support/system.ts';
import { sharedBrowser } from './browsing.ts';

const seen = sharedBrowser();

/** The drafter reads the total wrong where it is not sure. */
const drafted = (prompt: string): Scripted => {
  const isUnsure = prompt.includes('unsure');
  const text = JSON.stringify({ total: isUnsure ? 1 : 7, buyer: { name: prompt } });
  return { kind: 'completion', text, logprobs: isUnsure ? -2 : -0.01 };
};

const shared = sharedSystem(() =>
  System.start({
    stopEarly: false,
    drafter: { answer: ({ body }) => drafted(promptOf(body)) },
    expert: {
      answer: ({ body }) => {
        const prompt = promptOf(body);
        if (prompt.includes('broken')) return { kind: 'status', status: 400, body: { error: { message: 'too odd' } } };
        return { kind: 'completion', text: JSON.stringify({ total: 7, buyer: { name: prompt } }) };
      },
    },
  }),
);

function promptOf(body: object): string {
  const { messages } = body as { messages: { content: string }[] };
  return messages.at(-1)?.content ?? '';
}

const PROMPTS = ['unsure <b>one</b>', 'two', 'three', 'unsure and broken', 'unsure five'];

test('documents are searched, looked at, and exported', async (context) => {
  const window = seen(context);
  if (window === null) return;
  const system = await shared();
  const { id } = await system.submit(PROMPTS, { id: (at) => `in/${at} ?` });
  await system.settled(id);
  const home = system.client.baseURL.replace(/v1$/, '');
  await using watched = await WatchedPage.open(window, `${home}#/batches/${id}`, { expected: [/400/] });
  const { page } = watched;
  await page.getByRole('link', { name: 'Documents', exact: true }).click();
  await page.getByText('searched 5 of 5, found 5').waitFor();
  await watched.assertAccessible();
  await page.getByLabel('Words in id or answer').fill('five');
  await page.getByLabel('Answered by').selectOption('expert');
  const condition = page.getByLabel('Condition');
  const chosen = '(custom_id ~ "five" or answer ~ "five") and role = expert and error = null';
  await until(async () => (await condition.inputValue()) === chosen);
  await condition.press('Enter');
  await page.getByText('searched 5 of 5, found 1').waitFor();
  await condition.fill('confidence <');
  await page.getByRole('button', { name: 'Search' }).click();
  await page.getByRole('alert').filter({ hasText: 'stands where' }).waitFor();
  await condition.fill('escalated and not error');
  await page.getByRole('button', { name: 'Search' }).click();
  await page.getByText('searched 5 of 5, found 2').waitFor();
  const saved = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Export what is found' }).click();
  const stream = (await (await saved).createReadStream()) as AsyncIterable<Buffer>;
  const lines = Buffer.concat(await Array.fromAsync(stream))
    .toString()
    .trim()
    .split('\n');
  assert.deepEqual(
    lines.map((line) => (JSON.parse(line) as { custom_id: string }).custom_id),
    ['in/0 ?', 'in/4 ?'],
  );
  await condition.fill('answer.total = 7 and role = drafter');
  await page.getByRole('button', { name: 'Search' }).click();
  await page.getByText('searched 5 of 5, found 2').waitFor();
  await page.getByRole('button', { name: 'Escalate these' }).click();
  // What failed is asked again in any new batch.
  await page.getByText('3 documents asked about').waitFor();
  await watched.assertAccessible();
  await page.getByRole('button', { name: 'Escalate 3' }).click();
  await page.locator('h1 .status', { hasText: 'completed' }).waitFor();
  await page.getByRole('listitem').getByText('1 failed').waitFor();
  await page.goBack();
  await condition.fill('custom_id = "in/4 ?"');
  await page.getByRole('button', { name: 'Search' }).click();
  await page.getByText('searched 5 of 5, found 1').waitFor();
  await page.getByRole('button', { name: 'Ask again these' }).click();
  await page.getByText(/holds\s+are asked about anew/).waitFor();
  // And what failed.
  await page.getByText('2 documents asked about').waitFor();
  await watched.assertAccessible();
  await page.getByRole('button', { name: 'Leave it' }).click();
  await condition.fill('escalated');
  await page.getByRole('button', { name: 'Search' }).click();
  await page.getByRole('link', { name: 'in/0 ?' }).click();
  const total = page.getByRole('region', { name: 'Values' }).getByRole('row').filter({ hasText: '/total' });
  await total.getByRole('cell', { name: '1', exact: true }).waitFor();
  await total.getByText('differs').waitFor();
  // What a model says is a text, whatever it looks like.
  await page.getByRole('cell', { name: 'unsure <b>one</b>' }).first().waitFor();
  await page.getByText('from enqueueing to the answer').waitFor();
  await watched.assertAccessible();
  await page.reload();
  await total.getByText('differs').waitFor();
});

test('answers are reviewed with the keyboard alone, least sure first', async (context) => {
  const window = seen(context);
  if (window === null) return;
  const system = await shared();
  const { id } = await system.submit(PROMPTS);
  await system.settled(id);
  const home = system.client.baseURL.replace(/v1$/, '');
  await using watched = await WatchedPage.open(window, `${home}#/batches/${id}/review`);
  const { page } = watched;
  const heading = async (name: string): Promise<void> => {
    await page.getByRole('heading', { level: 2 }).filter({ hasText: name }).waitFor();
    // Nothing can be said of what is not shown yet.
    await page.getByRole('heading', { name: 'Request' }).waitFor();
  };
  await heading('doc-0');
  await page.getByText('differs').waitFor();
  await watched.assertAccessible();
  await page.keyboard.press('a');
  await heading('doc-4');
  await page.keyboard.press('c');
  await page.getByLabel('The right answer').waitFor();
  await watched.assertAccessible();
  await page.getByLabel('The right answer').fill('{"total": 8');
  await page.keyboard.press('Control+Enter');
  await page.getByRole('alert').filter({ hasText: 'was JSON, and this is none' }).waitFor();
  await page.getByLabel('The right answer').fill('{"total": 8}');
  await page.keyboard.press('Control+Enter');
  await page.getByText('2 reviewed in this tab').waitFor();
  await heading('doc-1');
  await page.keyboard.press('s');
  await heading('doc-2');
  await page.keyboard.press('a');
  await page.getByText('Nothing is left to review.').waitFor();
  const saved = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Save the labels' }).click();
  const stream = (await (await saved).createReadStream()) as AsyncIterable<Buffer>;
  const labels = Buffer.concat(await Array.fromAsync(stream)).toString();
  assert.equal(labels.trim().split('\n').length, 3);
  assert.ok(labels.includes('{"custom_id":"doc-4","answer":"{\\"total\\": 8}"}\n'), labels);
});
