// What a document's parts take by themselves, without anything that makes a service of them, in microseconds of CPU of
// this process and of Redis: a bare call of a model by undici; BullMQ's way of a job that does nothing, in bundles; one
// script that writes results. A process of its own: MODEL, REDIS_URL, DOCUMENTS.
import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { Pool } from 'undici';
import { prompts } from './processes.ts';

const { MODEL = '', REDIS_URL = '', DOCUMENTS = '0' } = process.env;
const documents = Number(DOCUMENTS);

/** Documents of a bundle, and results of one script. */
const BUNDLE = 16;
const CALLS = 128;
const BUNDLES_AT_A_TIME = 16;
/** A job's bytes of one document, and a result's. */
const PAYLOAD = 'x'.repeat(1_000);

/** Results of a page, its progress, the batch's counters: what must be written of a document, and no more. */
const SETTLE = `
for i = 1, #ARGV, 2 do
  if redis.call('HSETNX', KEYS[1], ARGV[i], ARGV[i + 1]) == 1 then redis.call('HINCRBY', KEYS[2], 'completed', 1) end
end
return 'WROTE'`;

/** ioredis adds a method for each script that it is told of. */
type WithSettle = Redis & { settle(page: string, batch: string, ...results: string[]): Promise<string> };

const redis = new Redis(REDIS_URL, { maxRetriesPerRequest: null, enableAutoPipelining: true }) as WithSettle;
redis.defineCommand('settle', { numberOfKeys: 2, lua: SETTLE });

async function redisMicros(): Promise<number> {
  const info = await redis.info('cpu');
  const seconds = (field: string): number => Number(new RegExp(`^${field}:([\\d.]+)`, 'm').exec(info)?.[1]);
  return (seconds('used_cpu_user') + seconds('used_cpu_sys')) * 1e6;
}

/** Microseconds of CPU a document. */
async function micros(count: number, work: () => Promise<unknown>): Promise<number> {
  const [before, redisBefore] = [process.cpuUsage(), await redisMicros()];
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system + (await redisMicros()) - redisBefore) / count;
}

/** So many lanes that each do the next piece of work until there is none. */
async function inLanes(lanes: number, count: number, work: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let index = next++; index < count; index = next++) await work(index);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

async function calls(count: number): Promise<void> {
  const pool = new Pool(new URL(MODEL).origin, { connections: CALLS });
  const texts = prompts(count);
  await inLanes(CALLS, count, async (index) => {
    const messages = [{ role: 'user', content: texts[index] }];
    const { body } = await pool.request({
      path: '/v1/chat/completions',
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'small', messages, logprobs: true }),
    });
    await body.json();
  });
  await pool.close();
}

async function jobs(count: number, bundle: number): Promise<void> {
  const connection = { url: REDIS_URL, maxRetriesPerRequest: null };
  const queue = new Queue('bare', { connection, prefix: '{bare}' });
  const opts = { removeOnComplete: true, removeOnFail: true };
  const data = Array.from({ length: bundle }, () => PAYLOAD);
  let left = Math.ceil(count / bundle);
  const { promise: done, resolve } = Promise.withResolvers<void>();
  const worker = new Worker('bare', async () => undefined, {
    connection,
    prefix: '{bare}',
    concurrency: BUNDLES_AT_A_TIME,
  });
  worker.on('completed', () => {
    left -= 1;
    if (left === 0) resolve();
  });
  for (let added = 0; added < count / bundle; added += 100) {
    const some = Math.min(100, Math.ceil(count / bundle) - added);
    await queue.addBulk(Array.from({ length: some }, () => ({ name: 'bundle', data, opts })));
  }
  await done;
  await worker.close();
  await queue.close();
}

async function settles(count: number): Promise<void> {
  await inLanes(4, count / BUNDLE, (index) => {
    const results = Array.from({ length: BUNDLE }, (_, at) => [String(index * BUNDLE + at), PAYLOAD]);
    return redis.settle(`{bare}:page:${index % 64}`, '{bare}:batch', ...results.flat());
  });
}

await calls(500);
await jobs(500, BUNDLE);
const parts = {
  call: await micros(documents, () => calls(documents)),
  bundled: await micros(documents, () => jobs(documents, BUNDLE)),
  // As often as it is needed to be more than noise: one job a document is dear.
  single: await micros(documents / 4, () => jobs(documents / 4, 1)),
  settle: await micros(documents, () => settles(documents)),
};
process.stdout.write(`${JSON.stringify(parts)}\n`);
redis.disconnect();
