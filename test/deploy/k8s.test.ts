import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { readConfiguration, type Configuration } from '@spillway/core';
import type { Env } from '@spillway/runtime';
import { parse } from 'yaml';
import { readConfig as readApi } from '../../services/api/src/config.ts';
import { readConfig as readDispatcher } from '../../services/dispatcher/src/config.ts';
import { readConfig as readDrafter } from '../../services/drafter/src/config.ts';
import { readConfig as readExpert } from '../../services/expert/src/config.ts';
import { ROOT } from '../support/compose.ts';
import { cannotRender, render } from '../support/kustomize.ts';
import type { ServiceName } from '../support/service.ts';
import { variablesOf } from '../support/variables.ts';
import { Cluster, containersOf, portsOf, preStopSeconds, type Workload } from '../support/workloads.ts';

/** What a schema cannot see: whether the parts of each overlay fit each other, and the services. */

const OVERLAYS = ['local', 'production', 'gpu'] as const;
const SERVICES = { api: readApi, dispatcher: readDispatcher, drafter: readDrafter, expert: readExpert } as const;
const names = Object.keys(SERVICES) as ServiceName[];
/** What a stop may take beside calls in hand (STOP_LIMIT_MS of runtime/lifecycle), and what a probe adds. */
const STOP_SECONDS = 60;

const clusters = new Map<string, Cluster>();
let directory: string;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'spillway-k8s-'));
  if (cannotRender !== false) return;
  for (const overlay of OVERLAYS) clusters.set(overlay, new Cluster(await render(`overlays/${overlay}`)));
});
after(() => rm(directory, { recursive: true, force: true }));

function eachOverlay(told: string, check: (cluster: Cluster, overlay: string) => Promise<void> | void): void {
  for (const overlay of OVERLAYS) {
    test(`${overlay}: ${told}`, { skip: cannotRender }, async () => {
      const cluster = clusters.get(overlay);
      assert.ok(cluster);
      await check(cluster, overlay);
    });
  }
}

/** The models and cascades of an overlay. */
function configurationOf(cluster: Cluster): Configuration {
  const read = readConfiguration(cluster.configuration());
  assert.equal(read.kind, 'valid', JSON.stringify(read));
  assert.ok(read.kind === 'valid');
  return read.configuration;
}

const main = ({ pod }: Workload) => {
  const [container] = pod.containers;
  assert.ok(container);
  return container;
};

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
  for (const name of ['api', 'dispatcher']) {
    const { pod } = cluster.workload(name);
    const needed = preStopSeconds(main(cluster.workload(name))) + STOP_SECONDS;
    assert.ok((pod.terminationGracePeriodSeconds ?? 30) > needed, name);
  }
});

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
      if (args !== undefined) assert.ok(args.includes(`--served-model-name=${model.model}`), name);
    }
  }
});

eachOverlay('services, budgets and policies pick pods that are there, ports that are open', (cluster) => {
  for (const { kind, metadata, spec } of cluster.of('Service')) {
    const { selector, ports } = spec as { selector: Record<string, string>; ports: { targetPort: string }[] };
    const picked = cluster.picked(selector);
    assert.equal(picked.length, 1, `${kind} ${metadata.name} picks ${picked.map(({ name }) => name).join()}`);
    const open = new Set(picked.flatMap((workload) => [...portsOf(main(workload))]));
    for (const { targetPort } of ports) assert.ok(open.has(targetPort), `${metadata.name}: ${targetPort}`);
  }
  for (const { metadata, spec } of cluster.of('PodDisruptionBudget')) {
    const { selector } = spec as { selector: { matchLabels: Record<string, string> } };
    assert.deepEqual(
      cluster.picked(selector.matchLabels).map(({ name }) => name),
      [metadata.name],
    );
  }
  for (const { selector, labels, name } of cluster.workloads) {
    for (const [key, value] of Object.entries(selector)) assert.equal(labels[key], value, name);
  }
  for (const { metadata, spec } of cluster.of('NetworkPolicy')) {
    const { podSelector, ingress = [] } = spec as {
      podSelector: { matchLabels?: Record<string, string> };
      ingress?: {
        from?: { podSelector?: { matchLabels: Record<string, string> } }[];
        ports?: { port: number | string }[];
      }[];
    };
    const picked = cluster.picked(podSelector.matchLabels ?? {});
    // Whether there is a model server in the cluster is the overlay's choice.
    assert.ok(picked.length > 0 || metadata.name === 'model-servers', metadata.name);
    const open = new Set(picked.flatMap((workload) => [...portsOf(main(workload))]));
    for (const { port } of ingress.flatMap(({ ports = [] }) => ports))
      assert.ok(open.has(String(port)), `${metadata.name}: ${port}`);
    for (const { podSelector: from } of ingress.flatMap((rule) => rule.from ?? [])) {
      if (from !== undefined) assert.ok(cluster.picked(from.matchLabels).length > 0, metadata.name);
    }
  }
});

eachOverlay('probes, volumes and references name what is there', async (cluster) => {
  const guide = await readFile(join(ROOT, 'k8s/README.md'), 'utf8');
  const exists = (kind: string, name: string): void => assert.ok(cluster.find(kind, name), `no ${kind} ${name}`);
  const secret = (name: string): void =>
    assert.ok(guide.includes(`\`${name}\``), `k8s/README.md says nothing of the secret ${name}`);
  for (const workload of cluster.workloads) {
    const { pod, claims, name } = workload;
    const volumes = new Set([...(pod.volumes ?? []).map((volume) => volume.name), ...claims]);
    for (const { configMap, secret: from, persistentVolumeClaim: claim } of pod.volumes ?? []) {
      if (configMap !== undefined) exists('ConfigMap', configMap.name);
      if (claim !== undefined) exists('PersistentVolumeClaim', claim.claimName);
      if (from !== undefined) secret(from.secretName);
    }
    if (pod.priorityClassName !== undefined) exists('PriorityClass', pod.priorityClassName);
    for (const container of containersOf(workload)) {
      for (const { name: volume } of container.volumeMounts ?? []) assert.ok(volumes.has(volume), `${name}: ${volume}`);
      for (const { configMapRef, secretRef } of container.envFrom ?? []) {
        if (configMapRef !== undefined) exists('ConfigMap', configMapRef.name);
        if (secretRef !== undefined) secret(secretRef.name);
      }
      const open = portsOf(container);
      for (const probe of [container.startupProbe, container.readinessProbe, container.livenessProbe]) {
        if (probe?.httpGet !== undefined)
          assert.ok(open.has(String(probe.httpGet.port)), `${name}: ${probe.httpGet.port}`);
      }
    }
    const kept = pod.containers.every(
      (container) => container.livenessProbe && container.readinessProbe && container.startupProbe,
    );
    assert.ok(kept, `${name} lacks a probe`);
  }
});

eachOverlay(
  'every container is hardened, has its resources set and its image pinned; there is no secret in clear',
  (cluster) => {
    assert.deepEqual(cluster.of('Secret'), []);
    for (const workload of cluster.workloads) {
      const { pod, name } = workload;
      assert.equal(pod.automountServiceAccountToken, false, name);
      // Their variables, like REDIS_PORT, would be taken for settings.
      assert.equal(pod.enableServiceLinks, false, name);
      assert.equal(pod.securityContext?.['runAsNonRoot'], true, name);
      assert.deepEqual(pod.securityContext?.['seccompProfile'], { type: 'RuntimeDefault' }, name);
      for (const container of containersOf(workload)) {
        const told = `${name}/${container.name}`;
        const { allowPrivilegeEscalation, readOnlyRootFilesystem, capabilities } = container.securityContext ?? {};
        assert.deepEqual(
          [allowPrivilegeEscalation, readOnlyRootFilesystem, capabilities],
          [false, true, { drop: ['ALL'] }],
          told,
        );
        const { requests, limits } = container.resources ?? {};
        assert.ok(requests?.['cpu'] && requests['memory'] && limits?.['memory'], told);
        assert.match(container.image, /:v?\d+\.\d+\.\d+(-[a-z]+)?$/, told);
        for (const { name: variable, value } of container.env ?? []) {
          if (/TOKEN|SECRET|PASSWORD|_KEY$/.test(variable)) assert.equal(value, undefined, `${told}: ${variable}`);
        }
      }
    }
    assert.doesNotMatch(JSON.stringify(cluster.objects), /sk-[A-Za-z0-9]{8}|redis:\/\/[^@"]*@/);
  },
);

eachOverlay('what matters more is evicted later; replicas are spread', (cluster) => {
  const value = (name: string): number =>
    Number(cluster.find('PriorityClass', cluster.workload(name).pod.priorityClassName ?? '')?.['value']);
  assert.ok(value('api') > value('drafter') && value('drafter') > value('expert'));
  for (const name of names) assert.equal(cluster.workload(name).pod.topologySpreadConstraints?.length, 2, name);
});

test(
  'where tiers are scaled nobody else sets their replicas; the bounds are those that the signal knows',
  { skip: cannotRender },
  () => {
    for (const overlay of ['production', 'gpu']) {
      const cluster = clusters.get(overlay);
      assert.ok(cluster);
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

test('one volume: one API and one dispatcher, held on the node that has it', { skip: cannotRender }, () => {
  const cluster = clusters.get('local');
  for (const name of ['api', 'dispatcher']) {
    const workload = cluster?.workload(name);
    assert.equal(workload?.replicas, 1);
    assert.match(JSON.stringify(workload?.pod), /"podAffinity":\{"requiredDuringScheduling/);
    assert.equal(workload?.labels['spillway.dev/storage'], 'volume');
  }
  const { volumes = [], initContainers = [] } = cluster?.workload('api').pod ?? {};
  const keys = volumes.find(({ name }) => name === 'keys');
  assert.deepEqual([keys?.persistentVolumeClaim?.claimName, keys?.secret], ['spillway-keys', undefined]);
  assert.deepEqual(
    initContainers.map(({ args }) => args?.slice(1)),
    [['first', '--tenant', 'local']],
  );
});

test('the local overlay runs the cascade of the quick start', { skip: cannotRender }, async () => {
  const cluster = clusters.get('local');
  assert.ok(cluster);
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
