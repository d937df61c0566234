import { copyFile, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import type { Fleet } from './fleet.ts';
import type { Evidence, Outcome } from './run.ts';
import type { Schedule } from './schedule.ts';

const MAX_KEYS = 2_000;
/** Until its processes have written their reports. */
const REPORTED_MS = 3_000;

/** Keeps all that is needed to understand a schedule that failed, in a folder of its own. */
export async function keepEvidence(
  folder: string,
  fleet: Fleet,
  found: { readonly schedule: Schedule; readonly outcome: Outcome; readonly evidence: Evidence },
): Promise<void> {
  await mkdir(folder, { recursive: true });
  const write = (name: string, value: unknown): Promise<void> =>
    writeFile(join(folder, name), `${JSON.stringify(value, null, 2)}\n`);
  const { schedule, outcome, evidence } = found;
  await write('schedule.json', schedule);
  await write('outcome.json', outcome);
  await write('calls.json', { endings: evidence.endings, failed: evidence.failedCalls });
  for (const seen of evidence.seen) {
    await write(`batch-${seen.batch}${seen.isRetry ? '-retry' : ''}.json`, seen);
  }
  const models = Object.values(fleet.models).map(({ name, calls }) => [name, Object.fromEntries(calls)]);
  await write('model-calls.json', Object.fromEntries(models));
  await write('redis.json', await keysOf(fleet.redis.client).catch((error: unknown) => String(error)));
  for (const [index, { name, child, lines, stderr }] of fleet.system.services.entries()) {
    const texts = [...lines.map((line) => JSON.stringify(line)), stderr];
    await writeFile(join(folder, `${name}-${index}-${child.pid}.jsonl`), texts.join('\n'));
  }
  await write('threads.json', await keepReports(folder, fleet));
}

/** Where each process is at now, as one that hangs says nothing else: what its threads do, and its own report if it can. */
async function keepReports(folder: string, fleet: Fleet): Promise<object> {
  const slots = [...fleet.slots.values()];
  const threads = (): object => Object.fromEntries(slots.map((slot) => [slot.name, slot.threads()]));
  const before = threads();
  for (const slot of slots) slot.report();
  await delay(REPORTED_MS);
  const { directory } = fleet.system;
  for (const name of await readdir(directory)) {
    if (name.startsWith('report.')) await copyFile(join(directory, name), join(folder, name));
  }
  return { before, after: threads() };
}

/** What stands in Redis: every key with its type and its size, small values as they are. */
async function keysOf(client: Redis): Promise<object[]> {
  const found: object[] = [];
  for await (const keys of client.scanStream({ count: 500 }) as AsyncIterable<string[]>) {
    for (const key of keys) {
      const type = await client.type(key);
      found.push({ key, type, bytes: await client.memory('USAGE', key), value: await valueOf(client, key, type) });
      if (found.length >= MAX_KEYS) return found;
    }
  }
  return found;
}

async function valueOf(client: Redis, key: string, type: string): Promise<unknown> {
  if (type === 'string') return (await client.get(key))?.slice(0, 500);
  if (type === 'hash') {
    const fields = Object.entries(await client.hgetall(key)).slice(0, 50);
    return Object.fromEntries(fields.map(([field, value]) => [field, value.slice(0, 200)]));
  }
  if (type === 'list') return client.lrange(key, 0, 20);
  if (type === 'set') return (await client.smembers(key)).slice(0, 50);
  if (type === 'zset') return client.zrange(key, '0', '20', 'WITHSCORES');
  return null;
}
