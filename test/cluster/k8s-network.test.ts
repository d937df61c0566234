import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readConfiguration } from '@spillway/core';
import { cannotRender } from '../support/kustomize.ts';
import { Network, picks, type End, type Policy } from '../support/network.ts';
import { clusterOf, eachOverlay, SCALED_OVERLAYS } from '../support/overlays.ts';
import { containersOf, portsOf, type Cluster } from '../support/workloads.ts';

/** The network policies: whatever a service needs passes at both ends, and nothing else does. */

const KEDA = { namespace: 'keda' };
const PROMETHEUS = { namespace: 'monitoring' };
const DNS = { namespace: 'kube-system' };
const [REDIS, HEALTH, OTLP, HTTPS] = [6379, 9464, 4318, 443];

type Way = readonly [what: string, from: End, to: End, port: number, protocol?: string];

/** Every connection that an overlay with these policies makes. */
function neededWays(cluster: Cluster): Way[] {
  const read = readConfiguration(cluster.configuration());
  assert.ok(read.kind === 'valid');
  const ways: Way[] = [
    ['KEDA asks the signal', KEDA, cluster.workload('api'), HEALTH],
    ['clients ask the API', 'anywhere', cluster.workload('api'), 8080],
    ['an Ingress asks the API', { namespace: 'ingress' }, cluster.workload('api'), 8080],
    ['Prometheus asks Jaeger for its figures of spans', PROMETHEUS, cluster.workload('jaeger'), 8889],
    ['Jaeger asks Prometheus for them', cluster.workload('jaeger'), PROMETHEUS, 9090],
  ];
  const services = cluster.services();
  const names = new Set(services.map(({ name }) => name));
  assert.ok(['api', 'dispatcher', 'drafter', 'expert'].every((name) => names.has(name)));
  for (const service of services) {
    const { name } = service;
    ways.push(
      [`${name} asks for names`, service, DNS, 53, 'UDP'],
      [`${name} asks for long names`, service, DNS, 53, 'TCP'],
      [`${name} asks Redis`, service, cluster.workload('redis'), REDIS],
      [`${name} sends traces`, service, cluster.workload('jaeger'), OTLP],
      [`Prometheus asks ${name}`, PROMETHEUS, service, HEALTH],
      [`${name} asks a provider, a bucket or a webhook`, service, 'anywhere', HTTPS],
    );
  }
  for (const { base_url: url, sidecar } of Object.values(read.configuration.models)) {
    const { hostname, port } = new URL(url);
    if (sidecar) {
      ways.push(['Prometheus asks the sidecars', PROMETHEUS, cluster.workload('expert'), Number(port)]);
    } else if (!hostname.includes('.')) {
      const found = cluster.find('Service', hostname);
      assert.ok(found, hostname);
      const [server] = cluster.picked((found['spec'] as { selector: Record<string, string> }).selector);
      assert.ok(server, hostname);
      for (const asking of services.filter(({ service }) => service === 'api' || service === 'drafter'))
        ways.push([`${asking.name} asks ${hostname}`, asking, server, Number(port)]);
      ways.push(
        [`Prometheus asks ${hostname}`, PROMETHEUS, server, Number(port)],
        [`${hostname} fetches its weights`, server, 'anywhere', HTTPS],
        [`${hostname} sends its spans`, server, cluster.workload('jaeger'), 4317],
        [`${hostname} sends its spans over HTTP`, server, cluster.workload('jaeger'), OTLP],
      );
    }
  }
  return ways;
}

for (const overlay of SCALED_OVERLAYS) {
  test(`${overlay}: what is needed passes the network policies, and no more`, { skip: cannotRender }, async () => {
    const cluster = await clusterOf(overlay);
    const network = new Network(cluster);
    for (const [what, from, to, port, protocol] of neededWays(cluster))
      assert.ok(network.passes(from, to, port, protocol), what);
    const stranger = { namespace: 'somebody' };
    const refused: Way[] = [
      ['the signal and the metrics are for KEDA and Prometheus', stranger, cluster.workload('api'), HEALTH],
      ['Redis is for the services', stranger, cluster.workload('redis'), REDIS],
      ['Redis goes nowhere', cluster.workload('redis'), 'anywhere', HTTPS],
      ['Jaeger is not for everybody', stranger, cluster.workload('jaeger'), 16686],
      ['Jaeger goes nowhere else', cluster.workload('jaeger'), 'anywhere', HTTPS],
      ['nobody else sends spans', stranger, cluster.workload('jaeger'), OTLP],
      ['plain HTTP goes nowhere', cluster.workload('drafter'), 'anywhere', 80],
      ['a sidecar is asked by its worker only', cluster.workload('drafter'), cluster.workload('expert'), 8000],
    ];
    for (const [what, from, to, port] of refused) assert.ok(!network.passes(from, to, port), what);
  });
}

/** Whether there is a model server in the cluster is the overlay's choice. */
const OF_MODEL_SERVERS = new Set(['model-servers', 'to-vllm-metrics']);

eachOverlay(
  'every policy picks pods that are there, ports that are open, and lets in pods that are there',
  (cluster) => {
    for (const { metadata, spec } of cluster.of('NetworkPolicy')) {
      const { podSelector, ingress = [] } = spec as Policy;
      const isOptional = OF_MODEL_SERVERS.has(metadata.name);
      const picked = cluster.workloads.filter(({ labels }) => picks(podSelector, labels));
      assert.ok(picked.length > 0 || isOptional, metadata.name);
      for (const { key, values } of podSelector.matchExpressions ?? []) {
        for (const value of values) {
          const count = cluster.picked({ [key]: value }).length;
          const isName = key === 'app.kubernetes.io/name';
          assert.ok(isName ? count === 1 : count > 0 || isOptional, `${metadata.name}: ${value} picks ${count}`);
        }
      }
      const open = new Set(picked.flatMap((one) => containersOf(one).flatMap((container) => [...portsOf(container)])));
      for (const { port } of ingress.flatMap(({ ports = [] }) => ports))
        assert.ok(open.has(String(port)) || isOptional, `${metadata.name}: ${port}`);
      for (const { podSelector: from } of ingress.flatMap((rule) => rule.from ?? [])) {
        if (from !== undefined)
          assert.ok(
            cluster.workloads.some(({ labels }) => picks(from, labels)),
            metadata.name,
          );
      }
    }
  },
);
