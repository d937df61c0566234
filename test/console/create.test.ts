import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Page } from 'playwright-core';
import { WatchedPage } from '../support/browser.ts';
import { sharedSystem } from '../support/shared-system.ts';
import { System } from '../support/system.ts';
import { sharedBrowser } from './browsing.ts';

const seen = sharedBrowser();
const shared = sharedSystem(() => System.start());

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'spillway-console-'));
  await mkdir(join(folder, 'in', 'deep'), { recursive: true });
  await writeFile(join(folder, 'in', 'a.txt'), 'a letter');
  await writeFile(join(folder, 'in', 'deep', 'b.md'), '# [[unsure]] another');
  await writeFile(join(folder, 'in', 'scan.pdf'), '%PDF');
  await writeFile(join(folder, 'in', 'empty.txt'), '');
  await writeFile(join(folder, 'in', '.DS_Store'), 'x');
  await writeFile(join(folder, 'rows.csv'), 'nr;who;text\n7;"Ann; née ""B""";"one\ntwo"\n8;Bo;=SUM(A1)\n');
});
after(() => rm(folder, { recursive: true, force: true }));

/** The user messages that the drafter was asked. */
function asked(system: System): string[] {
  return system.drafterModel.requests.map(({ body }) => {
    const { messages } = body as unknown as { messages: { content: string }[] };
    return messages.at(-1)?.content ?? '';
  });
}

/** Input files that the console has uploaded and not deleted. */
async function inputs({ client }: System): Promise<number> {
  const { data } = await client.files.list({ purpose: 'batch' });
  return data.filter(({ filename }) => filename === 'console.jsonl').length;
}

const open = async (page: Page, home: string): Promise<void> => {
  await page.goto(`${home}#/create`);
  await page.getByText('Drop files or a folder here').waitFor();
};

test('a folder is dropped, estimated, run, watched and downloaded', async (context) => {
  const window = seen(context);
  if (window === null) return;
  const system = await shared();
  const home = system.client.baseURL.replace(/v1$/, '');
  await using watched = await WatchedPage.open(window, home);
  const { page } = watched;
  await open(page, home);
  await watched.assertAccessible();
  await page.getByLabel('Choose a folder').setInputFiles(join(folder, 'in'));
  await page.getByText('2 documents in 2 files').waitFor();
  await page.getByText('scan.pdf: this page reads text, CSV and JSON lines; spillway run reads .pdf as well').waitFor();
  await page.getByText('empty.txt: is empty').waitFor();
  assert.equal(await page.getByText('DS_Store').count(), 0);
  assert.equal(await page.getByLabel('Name').inputValue(), 'in');
  await page.getByLabel('Name').fill('letters');
  await page.getByLabel(/^Prompt/).fill('Sum up: {{text}}');
  await watched.assertAccessible();
  await page.getByRole('button', { name: 'Estimate' }).click();
  await page.getByText(/^2 documents, about \d+ tokens to read/).waitFor();
  await page.getByRole('button', { name: 'Ask about 20 of them' }).click();
  await page.getByText('2 documents were answered to know this.').waitFor();
  await watched.assertAccessible();
  await page.getByRole('button', { name: 'Run 2 documents' }).click();
  await page.getByRole('heading', { level: 1, name: 'letters' }).waitFor();
  await page.locator('h1 .status', { hasText: 'completed' }).waitFor();
  assert.ok(asked(system).includes('Sum up: a letter'));
  const saved = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Download the answers' }).click();
  const stream = (await (await saved).createReadStream()) as AsyncIterable<Buffer>;
  const lines = Buffer.concat(await Array.fromAsync(stream))
    .toString()
    .trim()
    .split('\n');
  const ids = lines.map((line) => (JSON.parse(line) as { custom_id: string }).custom_id);
  assert.deepEqual(ids.toSorted(), ['a.txt', 'deep/b.md']);
});

test('a table becomes documents by its columns; what is wrong is said, and a change begins anew', async (context) => {
  const window = seen(context);
  if (window === null) return;
  const system = await shared();
  const home = system.client.baseURL.replace(/v1$/, '');
  const uploaded = await inputs(system);
  await using watched = await WatchedPage.open(window, home, { expected: [/400/] });
  const { page } = watched;
  await open(page, home);
  await page.getByLabel('Choose files').setInputFiles(join(folder, 'rows.csv'));
  await page.getByText('2 documents in 1 file').waitFor();
  await page.getByLabel(/^Prompt/).fill('{{who}} says {{nobody}}');
  await page.getByRole('button', { name: 'Estimate' }).click();
  await page
    .getByRole('alert')
    .filter({ hasText: 'rows.csv:1: has no {{nobody}}, but {{nr}}, {{who}}, {{text}}' })
    .waitFor();
  await page.getByLabel(/^Prompt/).fill('{{who}} says {{text}}');
  await page.getByLabel('Threshold').selectOption('budget');
  await page.getByLabel('… of').fill('250');
  await page.getByRole('button', { name: 'Estimate' }).click();
  await page.getByRole('alert').filter({ hasText: 'expert_share: expected a number' }).waitFor();
  await page.getByLabel('Threshold').selectOption('accept_at');
  await page.getByLabel('… of').fill('0.5');
  await page.getByLabel('Ids from').selectOption('nr');
  await page.getByRole('button', { name: 'Estimate' }).click();
  await page.getByRole('button', { name: 'Run 2 documents' }).waitFor();
  await page.getByLabel('It may cost').fill('5');
  await page.getByRole('button', { name: 'Run 2 documents' }).waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'Estimate' }).click();
  await page.getByRole('button', { name: 'Run 2 documents' }).click();
  await page.locator('h1 .status', { hasText: 'completed' }).waitFor();
  assert.ok(asked(system).includes('Ann; née "B" says one\ntwo'));
  const { data } = await system.client.batches.list({ limit: 1 });
  const metadata = { name: 'rows.csv', 'spillway.accept_at': '0.5', 'spillway.max_usd': '5' };
  assert.deepEqual({ ...data[0]?.metadata }, metadata);
  assert.equal((await inputs(system)) - uploaded, 1, 'what was not run is deleted');
});
