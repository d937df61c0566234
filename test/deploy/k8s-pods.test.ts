import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from '../support/compose.ts';
import { cannotRender } from '../support/kustomize.ts';
import { picks, type Selector } from '../support/network.ts';
import { clusterOf, eachOverlay } from '../support/overlays.ts';
import { containersOf, main, portsOf } from '../support/workloads.ts';

/** What a schema cannot see: whether the objects of each overlay fit each other, and its pods are as they should be. */

const names = ['api', 'dispatcher', 'drafter', 'expert'] as const;

eachOverlay('services and budgets pick pods that are there, ports that are open', (cluster) => {
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
});

test('metrics are asked of every service, and of every vLLM server', { skip: cannotRender }, async () => {
  const cluster = await clusterOf('gpu');
  const asked = cluster.of('PodMonitor').flatMap(({ spec }) => {
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
  assert.deepEqual(
    asked.toSorted(),
    [...names.map((name) => `${name}/${name}`), 'drafter-model/vllm', 'expert/vllm'].toSorted(),
  );
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
