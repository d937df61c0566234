import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { test } from 'node:test';
import { CreateBucketCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { mapConcurrent } from '@spillway/runtime';
import type { OpenAI } from 'openai';
import { startRadosgw, type Radosgw } from '../support/radosgw.ts';
import { startRedis } from '../support/redis.ts';
import type { ServiceName } from '../support/service.ts';
import { System } from '../support/system.ts';
import { docIds, wholeResults } from '../support/whole.ts';

/** What k8s/README.md says of moving, step by step, with a batch in work. */

const DOCUMENTS = 1_000;
const prompts = Array.from({ length: DOCUMENTS }, (_, index) =>
  index % 3 === 0 ? `[[drafter unsure]] ${index}` : `${index}`,
);
const slow = { drafter: { latencyMs: 15 }, expert: { latencyMs: 25 } };
const ALL: readonly ServiceName[] = ['api', 'dispatcher', 'drafter', 'expert'];
const done = (batch: OpenAI.Batch): number => batch.request_counts?.completed ?? 0;

/** Submits a batch and stops the services in the middle of it, as `kubectl scale --replicas=0` does. */
async function stopInMidBatch(system: System, names: readonly ServiceName[]): Promise<string> {
  const { id } = await system.submit(prompts);
  const then = await system.settled(id, (batch) => done(batch) >= DOCUMENTS / 4);
  assert.ok(done(then) < DOCUMENTS);
  await Promise.all(system.services.filter(({ name }) => names.includes(name)).map((service) => service.stop()));
  return id;
}

async function endsWhole(system: System, id: string): Promise<void> {
  const batch = await system.settled(id);
  assert.equal(batch.status, 'completed');
  await wholeResults(system, batch, docIds(DOCUMENTS));
}

test('another Redis, with nothing copied: the batch goes on and is whole', async () => {
  await using system = await System.start(slow);
  await using other = await startRedis();
  const id = await stopInMidBatch(
    system,
    ALL.filter((name) => name !== 'api'),
  );
  // Applying the overlay replaces the API, too; the one before still asks the old Redis.
  const [before] = system.services;
  await Promise.all(ALL.map((name) => system.run(name, { REDIS_URL: other.url })));
  await before?.stop();
  await system.redis.kill();
  await endsWhole(system, id);
});

test('from a directory to a bucket, each file under its path: the batch goes on and is whole', async (t) => {
  await using server = await startRadosgw();
  if (server.kind === 'missing') return t.skip(server.reason);
  await using system = await System.start(slow);
  const id = await stopInMidBatch(system, ALL);
  await copyInto(server, 'moved', join(system.directory, 'data'));
  await system.redis.client.flushall();
  const env = {
    SPILLWAY_DATA_DIR: '',
    SPILLWAY_STORAGE: `s3://moved/spillway?endpoint=${server.endpoint}&path_style=true`,
    AWS_ACCESS_KEY_ID: server.accessKey,
    AWS_SECRET_ACCESS_KEY: server.secretKey,
  };
  await Promise.all(ALL.map((name) => system.run(name, env)));
  await endsWhole(system, id);
});

/** As `aws s3 sync DIRECTORY s3://BUCKET/spillway --exclude '.tmp/*'` does. */
async function copyInto(server: Radosgw, bucket: string, directory: string): Promise<void> {
  const credentials = { accessKeyId: server.accessKey, secretAccessKey: server.secretKey };
  const client = new S3Client({ endpoint: server.endpoint, region: 'us-east-1', forcePathStyle: true, credentials });
  await client.send(new CreateBucketCommand({ Bucket: bucket }));
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
  const kept = files.filter((file) => !relative(directory, file).startsWith('.tmp/'));
  await mapConcurrent(kept, 8, async (file) => {
    const key = `spillway/${relative(directory, file)}`;
    await client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: await readFile(file) }));
  });
  client.destroy();
}
