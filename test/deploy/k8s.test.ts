import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { LIMITS, readConfiguration, type Configuration } from '@spillway/core';
import type { Env } from '@spillway/runtime';
import { parse } from 'yaml';
import { readConfig as readApi } from '../../services/api/src/config.ts';
import { readConfig as readDispatcher } from '../../services/dispatcher/src/config.ts';
import { readConfig as readDrafter } from '../../services/drafter/src/config.ts';
import { readConfig as readExpert } from '../../services/expert/src/config.ts';
import { ROOT } from '../support/compose.ts';
import { cannotRender } from '../support/kustomize.ts';
import { clusterOf, eachOverlay } from '../support/overlays.ts';
import type { ServiceName } from '../support/service.ts';
import { variablesOf } from '../support/variables.ts';
import { main, preStopSeconds, type Cluster } from '../support/workloads.ts';

/** What a schema cannot see: whether the parts of each overlay fit each other, and the services. */

const SERVICES = { api: readApi, dispatcher: readDispatcher, drafter: readDrafter, expert: readExpert } as const;
const names = Object.keys(SERVICES) as ServiceName[];
/** What a stop may take beside calls in hand (STOP_LIMIT_MS of runtime/lifecycle), and what a probe adds. */
const STOP_SECONDS = 60;

let directory: string;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'spillway-k8s-'));
});
after(() => rm(directory, { recursive: true, force: true }));

/** The models and cascades of an overlay. */
function configurationOf(cluster: Cluster): Configuration {
  const read = readConfiguration(cluster.configuration());
  assert.equal(read.kind, 'valid', JSON.stringify(read));
  assert.ok(read.kind === 'valid');
  return read.configuration;
}

async function configFile(cluster: Cluster, overlay: string): Promise<string> {
  const path = join(directory, `${overlay}.yaml`);
  await writeFile(path, cluster.configuration());
  return path;
}

eachOverlay(
  'every service starts with its environment, and reads all that is set for it alone',
  async (cluster, overlay) => {
    const path = await configFile(cluster, overlay);
    const shared = new Set<string>();
    const readBySome = new Set(names.flatMap((name) => [...variablesOf(name, path)]));
    for (const name of names) {
      const container = main(cluster.workload(name));
      const env = cluster.environment(container);
      assert.equal(env['SPILLWAY_CONFIG'], '/config/spillway.yaml');
      const keys = Object.values(configurationOf(cluster).models).flatMap(({ api_key_env: key }) =>
        key === undefined ? [] : [key],
      );
      // What the image sets, and what the secrets give.
      const whole: Env = {
        HOST: '0.0.0.0',
        ...env,
        SPILLWAY_CONFIG: path,
        ...Object.fromEntries(keys.map((key) => [key, 'x'])),
      };
      SERVICES[name](whole);
      for (const { name: own } of container.env ?? [])
        assert.ok(variablesOf(name, path).has(own), `${name} does not read ${own}`);
      for (const key of Object.keys(env)) shared.add(key);
      const [script = ''] = container.args ?? [];
      assert.equal(script, `services/${name}/src/main.ts`);
      assert.ok((await stat(join(ROOT, script))).isFile());
    }
    for (const variable of shared) assert.ok(readBySome.has(variable), `nobody reads ${variable}`);
  },
);

eachOverlay('calls in hand are finished before a pod is killed', (cluster) => {
  const { models, cascades } = configurationOf(cluster);
  for (const role of ['drafter', 'expert'] as const) {
    const longest = Math.max(...Object.values(cascades).map((cascade) => models[cascade[role]]?.timeout_s ?? Infinity));
    const workload = cluster.workload(role);
    const drain = Number(cluster.environment(main(workload))['SPILLWAY_DRAIN_MS']) / 1_000;
    assert.ok(drain >= longest, `${role}: a call of ${longest} s in ${drain} s`);
    assert.ok((workload.pod.terminationGracePeriodSeconds ?? 30) > drain + STOP_SECONDS, role);
  }
  const { pod } = cluster.workload('api');
  const container = main(cluster.workload('api'));
  const drain = Number(cluster.environment(container)['SPILLWAY_DRAIN_MS']);
  assert.ok(drain >= LIMITS.directAnswerMs);
  assert.ok((pod.terminationGracePeriodSeconds ?? 30) > preStopSeconds(container) + drain / 1_000 + STOP_SECONDS);
  assert.ok((cluster.workload('dispatcher').pod.terminationGracePeriodSeconds ?? 30) > STOP_SECONDS);
});

/** How many calls at a time a vLLM server works on. */
const callsOf = (args: readonly string[] = []): number =>
  Number(args.find((arg) => arg.startsWith('--max-num-seqs='))?.split('=')[1] ?? 0);

eachOverlay('every model is where the configuration says', (cluster) => {
  for (const [name, model] of Object.entries(configurationOf(cluster).models)) {
    const { hostname, port, protocol } = new URL(model.base_url);
    if (model.sidecar) {
      const server = cluster
        .workload('expert')
        .pod.initContainers?.find(({ restartPolicy }) => restartPolicy === 'Always');
      assert.ok(
        server?.args?.includes(`--port=${port}`) && server.args.includes(`--served-model-name=${model.model}`),
        name,
      );
      assert.ok(callsOf(server?.args) >= model.concurrency, `${name}: calls would wait in the server`);
    } else if (hostname.includes('.')) assert.equal(protocol, 'https:', name);
    else {
      const spec = cluster.find('Service', hostname)?.['spec'] as {
        ports: { port: number }[];
        selector: Record<string, string>;
      };
      assert.ok(
        spec.ports.some((one) => one.port === Number(port)),
        `${name}: ${model.base_url}`,
      );
      const [server] = cluster.picked(spec.selector);
      assert.ok(server);
      const { args } = main(server);
      if (args === undefined) continue;
      assert.ok(args.includes(`--served-model-name=${model.model}`), name);
      const most = model.scaling.max_replicas * model.concurrency;
      assert.ok(callsOf(args) * (server.replicas ?? 1) >= most, `${name}: ${most} calls would wait in the server`);
    }
  }
});

test(
  'where tiers are scaled nobody else sets their replicas; the bounds are those that the signal knows',
  { skip: cannotRender },
  async () => {
    for (const overlay of ['production', 'gpu'] as const) {
      const cluster = await clusterOf(overlay);
      const { models } = configurationOf(cluster);
      for (const { metadata, spec } of cluster.of('ScaledObject')) {
        const { scaleTargetRef, maxReplicaCount, triggers } = spec as {
          scaleTargetRef: { name: string };
          maxReplicaCount: number;
          triggers: { metadata: { url: string } }[];
        };
        assert.equal(cluster.workload(scaleTargetRef.name).replicas, undefined, metadata.name);
        const [, role, model = ''] =
          /\/internal\/scaling\/(drafter|expert)\/(.+)$/.exec(triggers[0]?.metadata.url ?? '') ?? [];
        assert.equal(role, metadata.name);
        assert.equal(models[model]?.scaling.max_replicas, maxReplicaCount, `${overlay}: ${metadata.name}`);
      }
    }
  },
);

test('the local overlay runs the cascade of the quick start', { skip: cannotRender }, async () => {
  const cluster = await clusterOf('local');
  const own = readConfiguration(
    (await readFile(join(ROOT, 'spillway.yaml'), 'utf8')).replaceAll('127.0.0.1:8377', 'playground:8377'),
  );
  assert.ok(own.kind === 'valid');
  assert.deepEqual(configurationOf(cluster), own.configuration);
});

test('the runbook has every alert', async () => {
  const guide = await readFile(join(ROOT, 'k8s/README.md'), 'utf8');
  const { spec } = parse(await readFile(join(ROOT, 'k8s/components/monitoring/alerts.yaml'), 'utf8')) as {
    spec: { groups: { rules: { alert: string }[] }[] };
  };
  for (const { alert } of spec.groups.flatMap(({ rules }) => rules)) assert.ok(guide.includes(`### ${alert}`), alert);
});
