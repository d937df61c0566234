import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import type { OpenAI } from 'openai';
import { startCluster, startSentinels, startTls } from '../support/redis-kinds.ts';
import { Service } from '../support/service.ts';
import { System } from '../support/system.ts';
import { docIds, wholeResults } from '../support/whole.ts';

const DOCUMENTS = 600;
const prompts = Array.from({ length: DOCUMENTS }, (_, index) =>
  index % 3 === 0 ? `[[drafter unsure]] ${index}` : `${index}`,
);
const slow = { drafter: { latencyMs: 15 }, expert: { latencyMs: 25 } };

/** Certificates are made with it. */
function lacksOpenssl(): string | false {
  return spawnSync('openssl', ['version']).status === 0
    ? false
    : 'this machine has no openssl to make certificates with';
}

const done = (batch: OpenAI.Batch): number => batch.request_counts?.completed ?? 0;

test('Sentinels: the master is killed in the middle of a batch, nothing is lost or done twice', async () => {
  await using system = await System.start({ ...slow, redisServer: await startSentinels() });
  const { id } = await system.submit(prompts);
  const before = await system.settled(id, (batch) => done(batch) >= 200);
  await system.redis.kill();
  const batch = await system.settled(id);
  assert.equal(batch.status, 'completed');
  assert.ok(done(before) < DOCUMENTS, 'the failover came before the end');
  await wholeResults(system, batch, docIds(DOCUMENTS));
});

test('a Cluster of three nodes: all keys are on one of them, which is the one that is asked about itself', async () => {
  await using system = await System.start({ ...slow, redisServer: await startCluster('test') });
  const { id } = await system.submit(prompts);
  await system.settled(id, (batch) => done(batch) >= 200);
  await system.redis.client.flushall();
  const batch = await system.settled(id);
  assert.equal(batch.status, 'completed');
  await wholeResults(system, batch, docIds(DOCUMENTS));
});

test(
  'TLS and a password: a certificate that is trusted is taken, another one is refused, the password is never shown',
  { skip: lacksOpenssl() },
  async () => {
    const redisServer = await startTls();
    const settings = { SPILLWAY_DATA_DIR: redisServer.directory, SPILLWAY_NAMESPACE: 'test' };
    const refused = async (env: Readonly<Record<string, string>>, why: RegExp): Promise<void> => {
      await using service = new Service('dispatcher', { ...settings, ...env });
      await assert.rejects(service.ready(), (error: Error) => {
        assert.match(error.message, why);
        assert.doesNotMatch(error.message, /of-redis-itself|guessed/);
        return true;
      });
    };
    await refused({ REDIS_URL: redisServer.url }, /Cannot reach Redis at rediss:\/\/localhost:\d+ \(.*certificate.*\)/);
    const wrong = redisServer.url.replace('of-redis-itself', 'guessed');
    const trusting = { NODE_EXTRA_CA_CERTS: redisServer.authority };
    await refused({ ...trusting, REDIS_URL: wrong }, /Cannot reach Redis at .*\(WRONGPASS/);
    await using system = await System.start({ redisServer, env: trusting });
    const { id } = await system.submit(['one', 'two']);
    assert.equal((await system.settled(id)).status, 'completed');
  },
);

test('a service tells a wrong address in one line without its password', async () => {
  await using service = new Service('dispatcher', { REDIS_URL: 'redis://:s/secret@h1', SPILLWAY_DATA_DIR: '/tmp' });
  await assert.rejects(service.ready(), (error: Error) => {
    assert.match(error.message, /REDIS_URL: expected the user and the password percent-encoded/);
    assert.doesNotMatch(error.message, /secret/);
    return true;
  });
});
