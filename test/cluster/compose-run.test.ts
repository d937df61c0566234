import assert from 'node:assert/strict';
import { mkdtemp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { OpenAI, toFile } from 'openai';
import { Collector } from '../support/collector.ts';
import { readCompose, ROOT, targetOf, type Compose } from '../support/compose.ts';
import { ContainerProcess } from '../support/container.ts';
import { settingsOfImage } from '../support/image.ts';
import { freePort, startRedis } from '../support/redis.ts';
import { requestLine } from '../support/request-line.ts';
import { isOver, until } from '../support/system.ts';

/** docker-compose.yml without an engine: its commands and its environment as plain processes, with other hosts and folders. */

type Places = {
  /** What an address or a path inside of the containers is here. */
  readonly texts: Readonly<Record<string, string>>;
  /** PORT and HEALTH_PORT of each service: on one machine they cannot be the same. */
  readonly ports: Readonly<Record<string, Readonly<Record<string, string>>>>;
};

const moved = (text: string, { texts }: Places): string =>
  Object.entries(texts).reduce((now, [inside, here]) => now.replaceAll(inside, here), text);

async function run(compose: Compose, name: string, places: Places): Promise<ContainerProcess> {
  const service = compose.services[name];
  assert.ok(service, name);
  const image = await settingsOfImage(targetOf(service) ?? '');
  const environment = Object.entries(service.environment ?? {}).map(([key, value]) => [key, moved(value, places)]);
  return new ContainerProcess({
    directory: ROOT,
    command: service.command ?? image.command,
    env: { ...image.env, ...(Object.fromEntries(environment) as Record<string, string>), ...places.ports[name] },
  });
}

test('docker compose up: a key is made and printed, a batch goes through both embedded models, traces are sent', async () => {
  await using redis = await startRedis();
  await using collector = await Collector.start();
  const directory = await mkdtemp(join(tmpdir(), 'spillway-compose-'));
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rm(directory, { recursive: true, force: true }));
  const names = ['playground', 'api', 'dispatcher', 'drafter', 'expert'];
  const port = async (): Promise<string> => String(await freePort());
  const given = names.map(async (name) => [name, { PORT: await port(), HEALTH_PORT: await port() }] as const);
  const ports = Object.fromEntries(await Promise.all(given));
  const places: Places = {
    ports,
    texts: {
      'redis:6379': `127.0.0.1:${redis.port}`,
      'http://jaeger:4318': collector.url,
      'playground:8377': `127.0.0.1:${ports['playground']?.PORT}`,
      '/keys/': `${directory}/keys/`,
      '/config/': `${directory}/config/`,
      '/data': `${directory}/data`,
    },
  };
  const compose = await readCompose({ OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json' });
  await mkdir(join(directory, 'config'));
  const [mounted = ''] = compose.services['api']?.volumes?.[0]?.split(':') ?? [];
  await writeFile(
    join(directory, 'config/spillway.yaml'),
    moved(await readFile(join(ROOT, mounted, 'spillway.yaml'), 'utf8'), places),
  );

  const keys = stack.use(await run(compose, 'keys', places));
  assert.equal(await keys.ended(), 0, keys.lines.join('\n'));
  const key = keys.lines.find((line) => line.startsWith('sk-spillway-')) ?? '';
  const services = await Promise.all(names.map(async (name) => stack.use(await run(compose, name, places))));
  await Promise.all(services.map((service) => service.ready()));

  const client = new OpenAI({ apiKey: key, baseURL: `http://127.0.0.1:${ports['api']?.PORT}/v1`, maxRetries: 8 });
  const lines = Array.from({ length: 20 }, (_, index) => requestLine('x', `doc-${index}`, { model: 'documents' }));
  const file = await client.files.create({
    file: await toFile(Buffer.from(lines.join('\n')), 'in.jsonl'),
    purpose: 'batch',
  });
  const input = { input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h' } as const;
  const { id } = await client.batches.create(input);
  await until(async () => isOver(await client.batches.retrieve(id)), 60_000);
  const batch = await client.batches.retrieve(id);
  assert.deepEqual([batch.status, batch.request_counts?.completed], ['completed', 20]);
  await until(async () => collector.spans.filter(({ name }) => name === 'document').length === 20);
  for (const service of services) assert.equal(await service.stop(), 0, service.lines.at(-1));
  for (const { lines: logged } of services) assert.ok(!logged.some((line) => line.includes(key)), 'the key was logged');
});
