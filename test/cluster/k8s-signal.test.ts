import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { cannotRender } from '../support/kustomize.ts';
import { clusterOf, SCALED_OVERLAYS } from '../support/overlays.ts';
import { json, send } from '../api/raw-http.ts';
import { System } from '../support/system.ts';

type Trigger = {
  readonly type: string;
  readonly metricType: string;
  readonly metadata: Readonly<Record<string, string>>;
};

/** All that KEDA's metrics-api scaler knows of; it takes a misspelt name for one that is not set. */
const KNOWN = new Set([
  'url',
  'format',
  'valueLocation',
  'targetValue',
  'activationTargetValue',
  'authMode',
  'unsafeSsl',
]);

for (const overlay of SCALED_OVERLAYS) {
  test(`${overlay}: what KEDA asks, a running API answers`, { skip: cannotRender }, async () => {
    const cluster = await clusterOf(overlay);
    await using system = await System.create({ env: { HEALTH_PORT: '0', OPENAI_API_KEY: 'x' } });
    const config = join(system.directory, 'k8s.yaml');
    await writeFile(config, cluster.configuration());
    const api = await system.run('api', { SPILLWAY_CONFIG: config });
    await system.run('dispatcher');
    await system.admitted();
    const { healthPort } = await api.ready();
    const scaled = cluster.of('ScaledObject');
    assert.equal(scaled.length, cluster.tiers().length);
    for (const { spec } of scaled) {
      const [trigger] = (spec as { triggers: Trigger[] }).triggers;
      assert.ok(trigger);
      assert.deepEqual([trigger.type, trigger.metricType], ['metrics-api', 'AverageValue']);
      for (const name of Object.keys(trigger.metadata)) assert.ok(KNOWN.has(name), name);
      const url = new URL(trigger.metadata['url'] ?? '');
      const [service = '', namespace] = url.hostname.split('.');
      const found = cluster.find('Service', service);
      assert.ok(found);
      assert.equal(found.metadata.namespace, namespace);
      const { ports, selector } = found['spec'] as {
        ports: { port: number; targetPort: string }[];
        selector: Record<string, string>;
      };
      const target = ports.find(({ port }) => port === Number(url.port))?.targetPort;
      assert.equal(target, 'health');
      assert.deepEqual(
        cluster.picked(selector).map(({ name }) => name),
        ['api'],
      );
      // By the name that KEDA knows: it is one that is answered without a key.
      const asked = { headers: { host: url.host } };
      const response = await send(`http://127.0.0.1:${String(healthPort)}${url.pathname}`, asked);
      assert.equal(response.status, 200);
      const answer = json(response);
      // KEDA reads the value as a number of replicas: one for each.
      assert.equal(answer[trigger.metadata['valueLocation'] ?? ''], 0);
      assert.deepEqual([trigger.metadata['targetValue'], trigger.metadata['activationTargetValue']], ['1', '0']);
    }
  });
}
