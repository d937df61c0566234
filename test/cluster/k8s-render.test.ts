import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { test } from 'node:test';
import {
  cannotRender,
  componentNames,
  openSchemas,
  render,
  renderOverlay,
  renderWith,
  type Rendered,
} from '../support/kustomize.ts';
import { OVERLAYS } from '../support/overlays.ts';

const check = await openSchemas();

function checkAll(objects: readonly Rendered[], what: string): void {
  assert.ok(objects.length > 10, what);
  const wrong = objects.map(check).filter((problem) => problem !== '');
  assert.deepEqual(wrong, [], what);
  const names = objects.map(({ kind, metadata }) => `${kind} ${metadata.namespace}/${metadata.name}`);
  assert.equal(new Set(names).size, names.length, `${what}: the same object twice`);
}

test('every overlay renders to objects that an API server takes as they are', { skip: cannotRender }, async () => {
  const folders = await readdir(new URL('../../k8s/overlays/', import.meta.url));
  assert.deepEqual(folders.toSorted(), OVERLAYS.toSorted(), 'every other test has every overlay');
  for (const overlay of OVERLAYS) checkAll(await render(`overlays/${overlay}`), overlay);
});

test(
  'so does the base with each component alone, with all of them, and with all but each',
  { skip: cannotRender },
  async () => {
    const components = await componentNames();
    for (const own of ['keda', 'drafter-medium', 'drafter-medium/keda']) assert.ok(components.includes(own), own);
    for (const one of components) checkAll(await renderWith([one]), one);
    const [storage, other] = ['s3', 'volume'];
    const all = components.filter((name) => name !== other);
    checkAll(await renderWith(all), all.join(', '));
    checkAll(await renderWith(all.toReversed()), 'in another order');
    for (const left of all) checkAll(await renderWith(all.filter((name) => name !== left)), `without ${left}`);
    const local = components.filter((name) => name !== storage);
    checkAll(await renderWith(local), local.join(', '));
    checkAll(await renderWith(local.toReversed()), 'in another order');
  },
);

test(
  'the overlay of the guide renders as it stands there, with the policy that it shows beside',
  { skip: cannotRender },
  async () => {
    const guide = await readFile(new URL('../../k8s/README.md', import.meta.url), 'utf8');
    const [, text = ''] = /```yaml\n(# k8s\/overlays\/mine\/kustomization\.yaml\n[^`]+)```/.exec(guide) ?? [];
    const [, policy = ''] = /```yaml\n([^`]+kind: NetworkPolicy\n[^`]+)```/.exec(guide) ?? [];
    const objects = await renderOverlay(text.replace('/production]', '/production, policy.yaml]'), {
      'spillway.yaml': '# mine\n',
      'policy.yaml': policy,
    });
    checkAll(objects, 'mine');
    const written = JSON.stringify(objects);
    for (const part of ['ghcr.io/me/spillway:0.1.0', 's3://my-bucket/spillway', '# mine', 'to-minio'])
      assert.ok(written.includes(part), part);
    assert.ok(!written.includes('registry.example.com'));
  },
);

test('the schemas find what is wrong: an unknown field, a wrong type, a missing field, a kind that is none', () => {
  const port = { name: 'http', port: 80 };
  const service = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'x' }, spec: { ports: [port] } };
  assert.equal(check(service), '');
  assert.match(check({ ...service, spec: { ports: [{ ...port, targetport: 1 }] } }), /targetport/);
  assert.match(check({ ...service, spec: { ports: [{ ...port, port: 'x' }] } }), /must be integer/);
  assert.match(check({ ...service, spec: { ports: [{ name: 'http' }] } }), /must have required property 'port'/);
  assert.match(check({ ...service, kind: 'Servise' }), /no schema/);
  const scaled = { apiVersion: 'keda.sh/v1alpha1', kind: 'ScaledObject', metadata: { name: 'x' } };
  const trigger = { type: 'metrics-api', metadata: { url: 'http://x' } };
  assert.equal(check({ ...scaled, spec: { scaleTargetRef: { name: 'x' }, triggers: [trigger] } }), '');
  assert.match(
    check({ ...scaled, spec: { scaleTargetRef: { name: 'x' }, triggers: [trigger], coolDown: 1 } }),
    /coolDown/,
  );
});
