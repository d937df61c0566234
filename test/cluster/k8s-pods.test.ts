import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from '../support/compose.ts';
import { cannotRender } from '../support/kustomize.ts';
import { picks, type Selector } from '../support/network.ts';
import { clusterOf, eachOverlay, SCALED_OVERLAYS } from '../support/overlays.ts';
import type { ServiceName } from '../support/service.ts';
import { containersOf, main, portsOf } from '../support/workloads.ts';

/** What a schema cannot see: whether the objects of each overlay fit each other, and its pods are as they should be. */

eachOverlay(
  'services and budgets pick pods that are there, ports that are open; each of ours has a budget',
  (cluster) => {
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
    for (const { name } of cluster.services()) assert.ok(cluster.find('PodDisruptionBudget', name), name);
    for (const { selector, labels, name } of cluster.workloads) {
      for (const [key, value] of Object.entries(selector)) assert.equal(labels[key], value, name);
      assert.deepEqual(
        cluster.picked(selector).map((one) => one.name),
        [name],
      );
    }
  },
);

const MEASURED_EVERYWHERE = ['api/api', 'dispatcher/dispatcher', 'drafter/drafter', 'expert/expert', 'jaeger/jaeger'];
/** The containers of each overlay that have metrics. */
const MEASURED = {
  production: MEASURED_EVERYWHERE,
  gpu: [...MEASURED_EVERYWHERE, 'drafter-model/vllm', 'expert/vllm'],
  'three-tiers': [...MEASURED_EVERYWHERE, 'drafter-medium/drafter', 'drafter-model/vllm', 'drafter-model-medium/vllm'],
} as const;

for (const overlay of SCALED_OVERLAYS) {
  test(`${overlay}: Prometheus finds every service, and every vLLM server`, { skip: cannotRender }, async () => {
    const cluster = await clusterOf(overlay);
    const found = cluster.of('PodMonitor').flatMap(({ spec }) => {
      const { selector, podMetricsEndpoints } = spec as {
        selector: Selector;
        podMetricsEndpoints: { port: string }[];
      };
      const ports = new Set(podMetricsEndpoints.map(({ port }) => port));
      return cluster.workloads
        .filter(({ labels }) => picks(selector, labels))
        .flatMap((workload) => containersOf(workload).map((container) => ({ workload, container })))
        .filter(({ container }) => [...portsOf(container)].some((port) => ports.has(port)))
        .map(({ workload, container }) => `${workload.name}/${container.name}`);
    });
    assert.deepEqual(found.toSorted(), MEASURED[overlay].toSorted());
  });
}

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
    if (pod.serviceAccountName !== undefined) exists('ServiceAccount', pod.serviceAccountName);
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
        const where = `${name}/${container.name}`;
        const { allowPrivilegeEscalation, readOnlyRootFilesystem, capabilities } = container.securityContext ?? {};
        assert.deepEqual(
          [allowPrivilegeEscalation, readOnlyRootFilesystem, capabilities],
          [false, true, { drop: ['ALL'] }],
          where,
        );
        const { requests, limits } = container.resources ?? {};
        assert.ok(requests?.['cpu'] && requests['memory'] && limits?.['memory'], where);
        assert.match(container.image, /:v?\d+\.\d+\.\d+(-[a-z]+)?$/, where);
        for (const { name: variable, value } of container.env ?? []) {
          if (/TOKEN|SECRET|PASSWORD|_KEY$/.test(variable)) assert.equal(value, undefined, `${where}: ${variable}`);
        }
      }
    }
    assert.doesNotMatch(JSON.stringify(cluster.objects), /sk-[A-Za-z0-9]{8}|redis:\/\/[^@"]*@/);
  },
);

eachOverlay('every pod says which version it runs: that of its image, of ours that of the package', async (cluster) => {
  const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  for (const { name, labels, pod } of cluster.workloads) {
    const [image = '', tag = ''] = (pod.containers[0]?.image ?? '').split(':');
    const [, plain = ''] = /^v?(\d+\.\d+\.\d+)/.exec(tag) ?? [];
    assert.equal(labels['app.kubernetes.io/version'], plain, `${name}: ${tag}`);
    if (/(^|\/)spillway(-playground)?$/.test(image)) assert.equal(plain, version, name);
  }
});

eachOverlay('what matters more is evicted later; replicas are spread', (cluster) => {
  const values = (service: ServiceName): number[] =>
    cluster
      .services()
      .filter((one) => one.service === service)
      .map(({ pod }) => Number(cluster.find('PriorityClass', pod.priorityClassName ?? '')?.['value']));
  assert.ok(Math.min(...values('api')) > Math.max(...values('drafter')));
  assert.ok(Math.min(...values('drafter')) > Math.max(...values('expert')));
  for (const { name, pod, labels } of cluster.services()) {
    const spread = pod.topologySpreadConstraints ?? [];
    assert.equal(spread.length, 2, name);
    for (const { labelSelector } of spread) {
      assert.ok(picks(labelSelector, labels), name);
      const picked = cluster.workloads.filter((one) => picks(labelSelector, one.labels));
      assert.equal(picked.length, 1, `${name} is spread among ${picked.map((one) => one.name).join()}`);
    }
  }
});

test('one volume: one API and one dispatcher, held on the node that has it', { skip: cannotRender }, async () => {
  const cluster = await clusterOf('local');
  for (const name of ['api', 'dispatcher']) {
    const workload = cluster.workload(name);
    assert.equal(workload.replicas, 1);
    assert.match(JSON.stringify(workload.pod), /"podAffinity":\{"requiredDuringScheduling/);
    assert.equal(workload.labels['spillway.dev/storage'], 'volume');
  }
  const { volumes = [], initContainers = [] } = cluster.workload('api').pod;
  const keys = volumes.find(({ name }) => name === 'keys');
  assert.deepEqual([keys?.persistentVolumeClaim?.claimName, keys?.secret], ['spillway-keys', undefined]);
  assert.deepEqual(
    initContainers.map(({ args }) => args?.slice(1)),
    [['first', '--tenant', 'local']],
  );
});
