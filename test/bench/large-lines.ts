import { once } from 'node:events';
import { createWriteStream, openAsBlob } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { finished } from 'node:stream/promises';
import { OpenAI } from 'openai';
import { keyLines } from '../api/api-under-test.ts';
import { System, until } from '../support/system.ts';
import { peakMiB } from './processes.ts';

/**
 * Peak resident memory of every service, and of Redis, for a batch of large lines such as page images are, each document
 * answered by both tiers. Usage: node test/bench/large-lines.ts [lines] [MiB of a line] [tenants that submit at
 * once] [MiB of heap of a worker]
 */
const LINES = Number(process.argv[2] ?? 60);
const MIB = Number(process.argv[3] ?? 12);
const TENANTS = Number(process.argv[4] ?? 1);
const HEAP_MIB = Number(process.argv[5] ?? 0);
const LIMIT_MS = 1_800_000;

const prompt = { type: 'text', text: '[[drafter unsure]]' };
const image = { type: 'image_url', image_url: { url: `data:image/png;base64,${'A'.repeat(MIB * 1024 * 1024)}` } };
const body = JSON.stringify({ model: 'test', messages: [{ role: 'user', content: [prompt, image] }] });

async function writeInput(path: string): Promise<File> {
  const file = createWriteStream(path);
  for (let at = 0; at < LINES; at += 1) {
    const line = `{"custom_id":"doc-${at}","method":"POST","url":"/v1/chat/completions","body":${body}}\n`;
    if (!file.write(line)) await once(file, 'drain');
  }
  await finished(file.end());
  return new File([await openAsBlob(path)], 'input.jsonl');
}

const directory = await mkdtemp(join(tmpdir(), 'spillway-large-'));
const keys = Array.from({ length: TENANTS }, (_, at) => ({ key: `key-${at}`, tenant: `tenant-${at}` }));
await writeFile(join(directory, 'keys.jsonl'), keyLines(keys));
await using system = await System.create({
  drafter: { record: false, latencyMs: 200 },
  expert: { record: false, latencyMs: 500 },
  // As they are in production: the tests' own are for small documents on a quiet machine.
  env: { SPILLWAY_API_KEYS: join(directory, 'keys.jsonl'), SPILLWAY_LOCK_MS: '30000', SPILLWAY_LEASE_MS: '10000' },
});
const worker: Readonly<Record<string, string>> =
  HEAP_MIB === 0 ? {} : { NODE_OPTIONS: `--max-old-space-size=${HEAP_MIB}` };
const services = [
  await system.run('api'),
  await system.run('dispatcher'),
  await system.run('drafter', worker),
  await system.run('expert', worker),
];
await system.admitted();
const input = await writeInput(join(directory, 'input.jsonl'));
const startedAt = performance.now();
const work = keys.map(async ({ key }) => {
  const client = new OpenAI({ apiKey: key, baseURL: system.client.baseURL, timeout: 600_000 });
  const file = await client.files.create({ file: input, purpose: 'batch' });
  const order = { input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h' } as const;
  const { id } = await client.batches.create(order);
  return { client, id };
});
const batches = await Promise.all(work);
const uploadedAt = performance.now();
const memory = async (field: string): Promise<number> => {
  const found = new RegExp(`${field}:(\\d+)`).exec(await system.redis.client.info('memory'))?.[1];
  return Math.round(Number(found) / 1024 / 1024);
};
for (const { client, id } of batches) {
  await until(async () => (await client.batches.retrieve(id)).status === 'completed', LIMIT_MS);
  process.stdout.write(`${JSON.stringify((await client.batches.retrieve(id)).request_counts)}\n`);
}
const seconds = (from: number, to: number): string => `${((to - from) / 1000).toFixed(1)} s`;
process.stdout.write(
  `${LINES} lines of ${MIB} MiB by ${TENANTS}: ` +
    `upload ${seconds(startedAt, uploadedAt)}, then ${seconds(uploadedAt, performance.now())}\n`,
);
for (const { name, child } of services) process.stdout.write(`${name} ${peakMiB(child.pid)} MiB\n`);
process.stdout.write(`redis peak ${await memory('used_memory_peak')} MiB\n`);
process.stdout.write(
  `peak calls: drafter ${system.drafterModel.peakInFlight}, expert ${system.expertModel.peakInFlight}\n`,
);
await rm(directory, { recursive: true, force: true });
