import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { YAML } from '../api/api-under-test.ts';
import { ContainerProcess } from '../support/container.ts';
import { buildImage, readStages, workspaces, type Image } from '../support/image.ts';
import { freePort, startRedis, type RedisServer } from '../support/redis.ts';

/** Both targets as the Dockerfile says, run with what is in them and nothing else. */

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
let redis: RedisServer;
let directory: string;

before(async () => {
  redis = await startRedis();
  directory = await mkdtemp(join(tmpdir(), 'spillway-run-'));
  await chmod(directory, 0o777);
  await writeFile(join(directory, 'spillway.yaml'), YAML);
});
after(async () => {
  await redis.stop();
  await rm(directory, { recursive: true, force: true });
});

/** A process of the image, as its user, who may write nothing in it. */
const start = (image: Image, command: readonly string[], env: Readonly<Record<string, string>>): ContainerProcess =>
  new ContainerProcess({
    directory: join(image.root, image.workdir),
    command,
    env: { ...image.env, TMPDIR: directory, ...env },
    user: image.user,
  });

/** The exit code of the image's own health check. */
async function health(image: Image, env: Readonly<Record<string, string>>): Promise<number | null> {
  const [, ...args] = image.healthcheck;
  await using check = start(image, args, env);
  return await check.ended();
}

test('the Dockerfile copies the manifest of every workspace, and pins Node as package.json does', async () => {
  const text = await readFile(join(ROOT, 'Dockerfile'), 'utf8');
  const stages = readStages(text);
  const copied = stages[0]?.instructions.flatMap(({ name, rest }) => (name === 'COPY' ? [rest.split(' ')[0]] : []));
  for (const workspace of await workspaces()) assert.ok(copied?.includes(`${workspace}/package.json`), workspace);
  const { devDependencies } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as {
    devDependencies: Record<string, string>;
  };
  assert.match(text, new RegExp(`^ARG NODE_IMAGE=node:${devDependencies['node']}-bookworm-slim$`, 'm'));
});

test('service: small, with production packages only; every service starts as a user who can write nothing in it', async (t) => {
  await using image = await buildImage('service');
  assert.equal(image.user, '1000:1000');
  assert.deepEqual(image.entrypoint, ['node']);
  const { stdout } = spawnSync('du', ['-sk', image.root], { encoding: 'utf8' });
  t.diagnostic(`${Math.round(Number.parseInt(stdout, 10) / 1024)} MiB over the base image`);
  assert.ok(Number.parseInt(stdout, 10) < 100 * 1024, stdout);
  for (const absent of ['onnxruntime-web', 'typescript', 'oxlint', 'node', '@spillway/playground']) {
    const found = spawnSync('test', ['-e', join(image.root, image.workdir, 'node_modules', absent)]);
    assert.equal(found.status, 1, absent);
  }
  spawnSync('chmod', ['-R', 'go=rX', image.root]);
  const env = {
    REDIS_URL: redis.url,
    SPILLWAY_CONFIG: join(directory, 'spillway.yaml'),
    SPILLWAY_DATA_DIR: join(directory, 'data'),
    SPILLWAY_API_KEYS: join(directory, 'keys.jsonl'),
  };
  await using keys = start(image, ['services/api/src/keys/main.ts', 'first', '--tenant', 'local'], env);
  assert.equal(await keys.ended(), 0, keys.lines.join('\n'));
  assert.ok(keys.lines.some((line) => line.startsWith('sk-spillway-')));
  const commands = ['api', 'dispatcher', 'drafter', 'expert'].map((name) => `services/${name}/src/main.ts`);
  assert.deepEqual(image.command, commands.slice(0, 1));
  const serve = async (command: string): Promise<void> => {
    const ports = { PORT: String(await freePort()), HEALTH_PORT: String(await freePort()) };
    await using service = start(image, [command], { ...env, ...ports });
    assert.equal(await health(image, ports), 1, 'before it listens');
    await service.ready();
    assert.equal(await health(image, ports), 0, command);
    assert.equal(await service.stop(), 0, command);
  };
  await Promise.all(commands.map(serve));
  await using terminal = start(image, ['packages/cli/src/main.ts', 'show'], {});
  await terminal.ended();
  assert.match(terminal.lines.join('\n'), /missing required argument 'batch'/);
});

test('playground: the embedded models answer, with only the weights and the build of the runtime that are needed', async (t) => {
  await using image = await buildImage('playground');
  const { stdout } = spawnSync('du', ['-sk', image.root], { encoding: 'utf8' });
  t.diagnostic(`${Math.round(Number.parseInt(stdout, 10) / 1024)} MiB over the base image`);
  assert.ok(Number.parseInt(stdout, 10) < 130 * 1024, stdout);
  spawnSync('chmod', ['-R', 'go=rX', image.root]);
  const env = { PORT: String(await freePort()) };
  await using playground = start(image, image.command, env);
  await playground.ready();
  assert.equal(await health(image, env), 0);
  const response = await fetch(`http://127.0.0.1:${env.PORT}/v1/chat/completions`, {
    method: 'POST',
    body: JSON.stringify({ model: 'spillway-drafter', messages: [{ role: 'user', content: 'x' }], max_tokens: 1 }),
  });
  assert.equal(response.status, 200);
});
