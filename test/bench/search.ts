// How quick a search over a batch is, and the console's page over it. Usage: node test/bench/search.ts [documents]
//
// A batch of so many documents (100,000) is answered by instant model servers; one answer has a word that no other has,
// as its last. The first hit of a word that all have, the search through all of it, a document by its id, and, in
// Debian's Chromium where it is installed, the page of documents until its first rows stand there. The API has a process
// of its own, and shares the machine's cores with nobody else by then.
import { performance } from 'node:perf_hooks';
import { startBrowser, WatchedPage } from '../support/browser.ts';
import { promptOf } from '../support/model-shapes.ts';
import type { ModelServerOptions } from '../support/model-server.ts';
import { requestLine } from '../support/request-line.ts';
import { System } from '../support/system.ts';
import { peakMiB, report, residentMiB } from './processes.ts';

const DOCUMENTS = Number(process.argv[2] ?? 100_000);
const ROUNDS = 5;
const MAX_MS = 7_200_000;

const answer: ModelServerOptions['answer'] = ({ body }) => {
  const prompt = promptOf(body);
  const word = prompt.endsWith(` ${DOCUMENTS - 1}`) ? 'marmalade' : 'nothing';
  const text = JSON.stringify({ type: 'invoice', currency: 'EUR', total: prompt.length, remark: `${word} of it` });
  return { kind: 'completion', text, logprobs: prompt.length % 4 === 0 ? -2 : -0.01 };
};

const seconds = (sinceMs: number): number => Math.round(performance.now() - sinceMs) / 1000;

/** Seconds until the first result of a condition, and until the search has ended. */
async function search(base: string, id: string, where: string): Promise<{ firstS: number | null; allS: number }> {
  const began = performance.now();
  const query = new URLSearchParams({ where, limit: '100' });
  const { body } = await fetch(`${base}/batches/${id}/search?${query.toString()}`);
  let firstS: number | null = null;
  let text = '';
  for await (const piece of (body ?? new ReadableStream<Uint8Array<ArrayBuffer>>()).pipeThrough(
    new TextDecoderStream(),
  )) {
    text = text.slice(-100) + piece;
    if (firstS === null && text.includes('event: result')) firstS = seconds(began);
  }
  return { firstS, allS: seconds(began) };
}

await using system = await System.create({ drafter: { record: false, answer }, expert: { record: false, answer } });
const [api] = await Promise.all([system.run('api'), system.run('dispatcher')]);
const workers = await Promise.all([system.run('drafter'), system.run('expert')]);
await system.admitted();
const lines = Array.from({ length: DOCUMENTS }, (_, at) => `${requestLine(`document ${at}`, `doc-${at}`)}\n`);
const file = await system.client.files.create({ file: new File(lines, 'in.jsonl'), purpose: 'batch' });
const order = { input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h' } as const;
const beganMs = performance.now();
const { id } = await system.client.batches.create(order);
await system.settled(id, undefined, MAX_MS);
report({ bench: 'answered', documents: DOCUMENTS, perSecond: Math.round(DOCUMENTS / seconds(beganMs)) });
for (const worker of workers) worker.child.kill();
const base = system.client.baseURL;
const beforeMiB = residentMiB(api.child.pid);
for (let round = 0; round < ROUNDS; round += 1) {
  const frequent = await search(base, id, 'answer ~ nothing');
  const rare = await search(base, id, 'answer ~ marmalade');
  const looked = performance.now();
  await fetch(`${base}/batches/${id}/document?custom_id=doc-${DOCUMENTS - 1}`).then((one) => one.text());
  report({
    bench: 'search',
    frequentFirstS: frequent.firstS,
    rareS: rare.firstS,
    allS: rare.allS,
    documentS: seconds(looked),
  });
}
report({ bench: 'memory', beforeMiB, peakMiB: peakMiB(api.child.pid) });
const browser = await startBrowser();
if (typeof browser !== 'string') {
  for (const view of ['', '/documents', '/review']) {
    const opened = performance.now();
    await using watched = await WatchedPage.open(browser, `${base.replace(/v1$/, '')}#/batches/${id}${view}`);
    watched.page.setDefaultTimeout(MAX_MS);
    await watched.page
      .locator(view === '/review' ? 'article' : 'table tbody tr')
      .first()
      .waitFor();
    report({ bench: 'page', view: view === '' ? 'batch' : view.slice(1), shownS: seconds(opened) });
  }
  await browser.close();
}
