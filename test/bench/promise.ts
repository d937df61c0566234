// A promised batch of the embedded pair, end to end, beside what the expert says of every document:
//   npm run bench:promise [-- DOCUMENTS [AGREEMENT [SEED]]]      10,000 take about 12 minutes of two cores
import { answerText, sameAnswer, type BatchObject, type ResultLine } from '@spillway/core';
import { mapConcurrent } from '@spillway/runtime';
import { toFile } from 'openai';
import { demoDocuments } from '../../services/playground/src/documents/index.ts';
import { DEMO } from '../../services/playground/src/demo/cascade.ts';
import { startPlayground } from '../support/playground.ts';
import { System } from '../support/system.ts';
import { chat } from './cascades/chat.ts';
import { PRODUCTION, secondsOf } from './service.ts';

const [documents = 10_000, agreement = 0.95, seed = 1] = process.argv.slice(2).map(Number);
if (!(documents >= 20) || !(agreement > 0 && agreement < 1))
  throw new RangeError('expected at least 20 documents, and an agreement between 0 and 1');

await using playground = startPlayground();
const { port } = await playground.waitFor('ready');
const baseURL = `http://127.0.0.1:${port}/v1`;
const spec = (role: 'drafter' | 'expert') => ({ ...DEMO[role], base_url: baseURL, timeout_s: 600 });
await using system = await System.create({
  models: { small: spec('drafter'), large: spec('expert') },
  env: PRODUCTION,
});
await Promise.all((['api', 'dispatcher', 'drafter', 'expert'] as const).map((name) => system.run(name)));
await system.admitted();

const all = demoDocuments(documents, seed);
const url = '/v1/chat/completions';
const input = all.map(({ customId, body }) =>
  JSON.stringify({ custom_id: customId, method: 'POST', url, body: { ...body, model: 'test', temperature: 0 } }),
);
const file = await system.client.files.create({
  file: await toFile(Buffer.from(`${input.join('\n')}\n`), 'input.jsonl'),
  purpose: 'batch',
});
const { id } = await system.client.batches.create({
  input_file_id: file.id,
  endpoint: url,
  completion_window: '24h',
  metadata: { 'spillway.promise': `agreement=${agreement},certainty=0.95` },
});
const seconds = await secondsOf(system, id, 500);
const batch = await system.client.batches.retrieve(id);
const lines = (await system.lines(batch.output_file_id)) as unknown as ResultLine[];
type Cost = { readonly usd: number };
const report: { counterfactuals: { cascade: Cost; all_expert: Cost }; escalated_share: number } =
  await system.client.get(`/batches/${id}/report`);

const expert = { baseURL, model: DEMO.expert.model };
// Where the expert answered, that is what it says.
const differing = await mapConcurrent(lines, DEMO.expert.concurrency, async ({ response, cascade }, at) => {
  if (cascade?.escalated !== false) return false;
  const own = await chat(expert, { ...all[at]?.body, temperature: 0 });
  return !sameAnswer(answerText(response?.body) ?? '', own.text);
});
const disagreements = differing.filter(Boolean).length;
const { thresholds } = (batch as unknown as BatchObject).spillway;
process.stdout.write(
  `${JSON.stringify(
    {
      documents,
      seconds: Math.round(seconds),
      certificate: thresholds[0],
      disagreements,
      agreement: 1 - disagreements / documents,
      expertShare: report.escalated_share,
      usd: report.counterfactuals.cascade.usd,
      allExpertUsd: report.counterfactuals.all_expert.usd,
    },
    null,
    2,
  )}\n`,
);
