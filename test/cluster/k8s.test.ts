import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { MAX_STOP_MS } from '@spillway/runtime';
import { LIMITS, readConfiguration, type Configuration } from '@spillway/core';
import { readWorkerConfig } from '@spillway/worker';
import { ROOT } from '../support/compose.ts';
import { cannotRender } from '../support/kustomize.ts';
import { clusterOf, eachOverlay } from '../support/overlays.ts';
import { READERS, variablesOf } from '../support/variables.ts';
import { main, preStopSeconds, type Cluster } from '../support/workloads.ts';

/** What a schema cannot see: whether the parts of each overlay fit each other, and the services. */

/** What a stop may take beside calls in flight (MAX_STOP_MS of runtime/lifecycle), and what a probe adds. */
const STOP_SECONDS = MAX_STOP_MS / 1_000;

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
    const services = cluster.services();
    const names = new Set(services.map(({ service }) => service));
    assert.deepEqual([...names].toSorted(), Object.keys(READERS).toSorted());
    const readBySome = new Set([...names].flatMap((name) => [...variablesOf(name, path)]));
    for (const workload of services) {
      const { name, service } = workload;
      const container = main(workload);
      const env = cluster.environment(container);
      assert.equal(env['SPILLWAY_CONFIG'], '/config/spillway.yaml');
      READERS[service](cluster.processEnvironment(container, path));
      for (const { name: own } of container.env ?? [])
        assert.ok(variablesOf(service, path).has(own), `${name} does not read ${own}`);
      for (const key of Object.keys(env)) shared.add(key);
      const [script = ''] = container.args ?? [];
      assert.equal(script, `services/${service}/src/main.ts`);
      assert.ok((await stat(join(ROOT, script))).isFile());
    }
    for (const variable of shared) assert.ok(readBySome.has(variable), `nobody reads ${variable}`);
  },
);

eachOverlay('calls in flight are finished before a pod is killed', async (cluster, overlay) => {
  const path = await configFile(cluster, overlay);
  for (const workload of cluster.services()) {
    const { name, service, pod } = workload;
    if (service !== 'drafter' && service !== 'expert') continue;
    const env = cluster.processEnvironment(main(workload), path);
    const longest = Math.max(...readWorkerConfig(env, service).models.map(({ spec }) => spec.timeout_s));
    const drain = Number(env['SPILLWAY_DRAIN_MS']) / 1_000;
    assert.ok(longest > 0 && drain >= longest, `${name}: a call of ${longest} s in ${drain} s`);
    assert.ok((pod.terminationGracePeriodSeconds ?? 30) > drain + STOP_SECONDS, name);
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
      const grace = server.pod.terminationGracePeriodSeconds ?? 30;
      assert.ok(grace > preStopSeconds(main(server)) + model.timeout_s, `${name}: its server ends before its calls`);
      assert.ok(args.includes(`--served-model-name=${model.model}`), name);
      const most = model.scaling.max_replicas * model.concurrency;
      assert.ok(callsOf(args) * (server.replicas ?? 1) >= most, `${name}: ${most} calls would wait in the server`);
    }
  }
});

test('the local overlay runs the cascade of the quick start', { skip: cannotRender }, async () => {
  const cluster = await clusterOf('local');
  const own = readConfiguration(
    (await readFile(join(ROOT, 'spillway.yaml'), 'utf8')).replaceAll('127.0.0.1:8377', 'playground:8377'),
  );
  assert.ok(own.kind === 'valid');
  assert.deepEqual(configurationOf(cluster), own.configuration);
});
