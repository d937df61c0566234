import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { MAX_STOP_MS } from '@spillway/runtime';
import { readConfiguration } from '@spillway/core';
import { Ajv } from 'ajv';
import { parse } from 'yaml';
import { readCompose, ROOT, targetOf, type ComposeService } from '../support/compose.ts';
import { lacksPrometheus, readAlertRules } from '../support/prometheus.ts';
import type { ServiceName } from '../support/service.ts';
import { variablesOf } from '../support/variables.ts';

const OURS: readonly ServiceName[] = ['api', 'dispatcher', 'drafter', 'expert'];
const text = await readFile(join(ROOT, 'docker-compose.yml'), 'utf8');
const compose = await readCompose();

const service = (name: string): ComposeService => {
  const found = compose.services[name];
  assert.ok(found, name);
  return found;
};

/** What the Dockerfile sets for a target. */
const SET_BY_IMAGE = ['NODE_ENV'];

test('the file is what the Compose Specification says, down to the names of its keys', async () => {
  const schema = JSON.parse(await readFile(join(ROOT, 'test/support/schemas/compose-spec.json'), 'utf8')) as object;
  const ajv = new Ajv({ strict: false, allErrors: true, formats: { duration: true } });
  // Its $schema has https where the draft has http.
  const validate = ajv.compile({ ...schema, $schema: 'http://json-schema.org/draft-07/schema#' });
  assert.ok(validate(compose), JSON.stringify(validate.errors, null, 1));
  assert.ok(!validate({ ...compose, services: { x: { imagee: 'y' } } }), 'the schema lets unknown keys pass');
});

test('Compose itself takes it, with every profile', { skip: lacksCompose() }, () => {
  const { status, stderr } = spawnSync('docker', ['compose', '--profile', '*', 'config', '--quiet'], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  assert.equal(status, 0, stderr);
});

for (const name of OURS) {
  test(`${name}: every variable that it reads can be set, and it reads every one that is set`, () => {
    const read = variablesOf(name, join(ROOT, 'compose/embedded/spillway.yaml'));
    const set = Object.keys(service(name).environment ?? {});
    const left = [...read].filter((variable) => ![...set, ...SET_BY_IMAGE].includes(variable));
    assert.deepEqual(left, [], 'cannot be set');
    assert.deepEqual(
      set.filter((variable) => !read.has(variable)),
      [],
      'nobody reads them',
    );
  });
}

test('nothing need be set, and there is no secret in the file', () => {
  assert.doesNotMatch(text, /\$\{\w+:?\?/, 'a variable that must be set');
  for (const [name, { environment = {} }] of Object.entries(compose.services)) {
    for (const [variable, value] of Object.entries(environment)) {
      if (/KEY|SECRET|TOKEN|PASSWORD/.test(variable) && variable !== 'SPILLWAY_API_KEYS') {
        assert.equal(value, '', `${name}: ${variable}`);
      }
    }
  }
});

test('what is published is published on this machine only, unless a setting says otherwise', async () => {
  const published = Object.values(compose.services).flatMap(({ ports = [] }) => ports);
  assert.ok(published.length >= 4);
  for (const port of published) assert.match(port, /^127\.0\.0\.1:\d+:\d+$/);
  const open = await readCompose({ SPILLWAY_BIND: '0.0.0.0', SPILLWAY_PORT: '80' });
  assert.deepEqual(open.services['api']?.ports, ['0.0.0.0:80:8080']);
});

test('every image is pinned, every file that is mounted is there, every volume is declared', async () => {
  for (const [name, one] of Object.entries(compose.services)) {
    const { image, volumes = [] } = one;
    if (targetOf(one) === null) assert.match(image, /^[a-z0-9/-]+:v?\d+\.\d+\.\d+(-[a-z]+)?$/, name);
    for (const volume of volumes) {
      const [from = ''] = volume.split(':');
      // A folder is the configuration's.
      const path = volume.endsWith(':/config:ro') ? `${from}/spillway.yaml` : from;
      if (from.startsWith('./')) assert.ok((await stat(join(ROOT, path))).isFile(), path);
      else assert.ok(from in compose.volumes, from);
    }
  }
});

test('every image that is ours is built once', () => {
  const built = Object.values(compose.services).flatMap(({ image, build }) => (build === undefined ? [] : [image]));
  assert.deepEqual(built.toSorted(), ['spillway-playground:local', 'spillway:local']);
  for (const one of Object.values(compose.services)) assert.equal(one.build?.target ?? targetOf(one), targetOf(one));
});

test('every container is without rights, and our services have longer to stop than they take', () => {
  for (const [
    name,
    { cap_drop: dropped, security_opt: options, profiles, read_only: readOnly, stop_grace_period: grace },
  ] of Object.entries(compose.services)) {
    assert.deepEqual(dropped, ['ALL'], name);
    assert.deepEqual(options, ['no-new-privileges:true'], name);
    // vLLM writes its caches where it likes.
    if (!profiles?.includes('gpu')) assert.equal(readOnly, true, name);
    // 25 s for calls in flight, and what a stop may take beside (MAX_STOP_MS of runtime/lifecycle).
    if (targetOf(service(name)) === 'service')
      assert.ok(Number.parseInt(grace ?? '0', 10) > 25 + MAX_STOP_MS / 1_000, name);
  }
});

test('a service starts when what it asks at once answers', () => {
  for (const name of OURS) assert.equal(service(name).depends_on?.['redis']?.condition, 'service_healthy');
  assert.equal(service('api').depends_on?.['keys']?.condition, 'service_completed_successfully');
  for (const name of ['drafter', 'expert'])
    assert.equal(service(name).depends_on?.['playground']?.condition, 'service_healthy');
  for (const { depends_on: needed = {} } of Object.values(compose.services)) {
    for (const [name, { condition, required }] of Object.entries(needed)) {
      const { healthcheck, profiles } = service(name);
      // Our images have a health check of their own.
      if (condition === 'service_healthy')
        assert.ok(healthcheck?.test !== undefined || targetOf(service(name)) !== null, name);
      assert.equal(required, profiles === undefined ? undefined : false, `${name} is not always there`);
    }
  }
});

test('the cascades of the files beside it are sound, and name servers that run', async () => {
  const read = async (path: string) => {
    const configuration = readConfiguration(await readFile(join(ROOT, path), 'utf8'));
    assert.ok(configuration.kind === 'valid', path);
    return configuration.configuration;
  };
  const [own, demo, gpu] = [
    await read('spillway.yaml'),
    await read('compose/embedded/spillway.yaml'),
    await read('compose/gpu/spillway.yaml'),
  ];
  const rehosted = JSON.stringify(demo).replaceAll('http://playground:', 'http://127.0.0.1:');
  assert.deepEqual(JSON.parse(rehosted), JSON.parse(JSON.stringify(own)), "the demo's cascade, elsewhere");
  for (const { base_url: url, model } of Object.values(gpu.models)) {
    const { hostname, port } = new URL(url);
    const { command = [], profiles } = service(hostname);
    assert.deepEqual([port, profiles], ['8000', ['gpu']]);
    assert.ok(command.includes(`--served-model-name=${model}`), model);
  }
});

test('Prometheus asks services that are there, at the port of their metrics; Grafana has the dashboard', async () => {
  const prometheus = parse(await readFile(join(ROOT, 'compose/prometheus.yaml'), 'utf8')) as {
    scrape_configs: { job_name: string; dns_sd_configs?: { names: string[]; port: number }[] }[];
  };
  const asked = prometheus.scrape_configs.flatMap(({ dns_sd_configs: found = [] }) => found);
  assert.deepEqual(asked.flatMap(({ names }) => names).toSorted(), [...OURS, 'playground'].toSorted());
  const dockerfile = await readFile(join(ROOT, 'Dockerfile'), 'utf8');
  for (const { names, port } of asked) {
    const variable = names.includes('playground') ? 'PORT' : 'HEALTH_PORT';
    assert.match(dockerfile, new RegExp(`[ ]${variable}=${port}$`, 'm'));
  }
  const provider = await readFile(join(ROOT, 'compose/grafana/dashboards.yaml'), 'utf8');
  const [, folder = ''] = /path: (\S+)/.exec(provider) ?? [];
  assert.ok(service('grafana').volumes?.some((volume) => volume.includes(`dashboard.json:${folder}/`)));
});

test('Prometheus loads the alert rules of the cluster, by the command of its container', async (context) => {
  const lacking = await lacksPrometheus();
  if (lacking !== null) return context.skip(lacking);
  const { entrypoint, command = [], volumes = [] } = service('prometheus');
  assert.deepEqual(entrypoint, ['sh', '-c']);
  const directory = await mkdtemp(join(tmpdir(), 'spillway-compose-'));
  context.after(() => rm(directory, { recursive: true, force: true }));
  const here = (written: string): string =>
    volumes
      .map((volume) => volume.split(':'))
      .filter(([from = '']) => from.startsWith('./'))
      .reduce((now, [from = '', to = '']) => now.replaceAll(to, join(ROOT, from)), written)
      .replaceAll('/tmp/alerts.yaml', join(directory, 'alerts.yaml'))
      .replaceAll('$$', '$');
  const [make = '', start = ''] = here(command[0] ?? '').split(' && exec ');
  assert.match(start, /^prometheus --config\.file=\S+prometheus\.yaml /);
  assert.equal(spawnSync('sh', ['-c', make]).status, 0);
  const made = parse(await readFile(join(directory, 'alerts.yaml'), 'utf8')) as unknown;
  assert.deepEqual(made, await readAlertRules());
  const configuration = join(directory, 'prometheus.yaml');
  await writeFile(configuration, here(await readFile(join(ROOT, 'compose/prometheus.yaml'), 'utf8')));
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'config', configuration], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  const rules = (made as { groups: { rules: unknown[] }[] }).groups.flatMap((group) => group.rules);
  assert.ok(rules.length > 10 && stdout.includes(`${rules.length} rules found`), stdout);
});

function lacksCompose(): string | false {
  const found = spawnSync('docker', ['compose', 'version']).status === 0;
  return found ? false : 'the docker client here has no compose plugin';
}
