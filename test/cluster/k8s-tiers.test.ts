import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { readConfiguration } from '@spillway/core';
import { readWorkerConfig } from '@spillway/worker';
import { parse, stringify } from 'yaml';
import { ROOT } from '../support/compose.ts';
import { cannotRender, openSchemas, renderChanged, renderWith, type Rendered } from '../support/kustomize.ts';
import { clusterOf, eachOverlay, SCALED_OVERLAYS } from '../support/overlays.ts';
import { Cluster, main } from '../support/workloads.ts';

/** Every tier of a configuration has its own pods and its own scaling, and the guide says how to add one. */

const run = promisify(execFile);

let directory: string;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'spillway-tiers-'));
});
after(() => rm(directory, { recursive: true, force: true }));

type Served = { readonly deployment: string; readonly tiers: readonly string[] };
type Scaled = {
  readonly name: string;
  readonly deployment: string;
  readonly most: number;
  readonly tiers: readonly string[];
};

/** What each worker's Deployment serves, by what its process reads. */
async function servedBy(cluster: Cluster): Promise<Served[]> {
  const path = join(directory, 'spillway.yaml');
  await writeFile(path, cluster.configuration());
  return cluster.services().flatMap((workload) => {
    const { name, service } = workload;
    if (service !== 'drafter' && service !== 'expert') return [];
    const { models } = readWorkerConfig(cluster.processEnvironment(main(workload), path), service);
    return [{ deployment: name, tiers: models.map((model) => `${service}.${model.name}`) }];
  });
}

/** What each ScaledObject scales, and by which tiers' signals. */
function scaledIn(cluster: Cluster): Scaled[] {
  return cluster.of('ScaledObject').map(({ metadata, spec }) => {
    const { scaleTargetRef, maxReplicaCount, triggers } = spec as {
      scaleTargetRef: { name: string };
      maxReplicaCount: number;
      triggers: { metadata: { url: string } }[];
    };
    const tiers = triggers.map(({ metadata: { url } }) => {
      const [, role, model] = /\/internal\/scaling\/(drafter|expert)\/([^/]+)$/.exec(url) ?? [];
      return `${role}.${model}`;
    });
    return { name: metadata.name, deployment: scaleTargetRef.name, most: maxReplicaCount, tiers };
  });
}

/** What is wrong with the tiers of a cluster: each has one Deployment of its own and, where tiers are scaled, one ScaledObject. */
async function problemsOf(cluster: Cluster, isScaled: boolean): Promise<string[]> {
  const tiers = cluster.tiers();
  const served = await servedBy(cluster);
  const scaled = scaledIn(cluster);
  const shared = served
    .filter((one) => one.tiers.length !== 1)
    .map((one) => `${one.deployment} serves ${one.tiers.join() || 'nothing'}`);
  const ofTiers = tiers.flatMap((tier) => {
    const deployments = served.flatMap((one) => one.tiers.filter((own) => own === tier).map(() => one.deployment));
    const scalers = scaled.flatMap((one) => one.tiers.filter((own) => own === tier).map(() => one));
    const problems: string[] = [];
    if (deployments.length !== 1) problems.push(`${tier} is served by ${deployments.join() || 'nobody'}`);
    if (scalers.length !== (isScaled ? 1 : 0))
      problems.push(`${tier} is scaled by ${scalers.map(({ name }) => name).join() || 'nobody'}`);
    for (const { name, deployment } of scalers)
      if (!deployments.includes(deployment)) problems.push(`${name} scales ${deployment} by the signal of ${tier}`);
    return problems;
  });
  const unknown = [...served, ...scaled]
    .flatMap((one) => one.tiers)
    .filter((tier) => !tiers.includes(tier))
    .map((tier) => `no cascade has ${tier}`);
  return [...shared, ...ofTiers, ...unknown];
}

eachOverlay('every tier has one Deployment that serves it alone, and one ScaledObject', async (cluster, overlay) => {
  const isScaled = SCALED_OVERLAYS.some((one) => one === overlay);
  assert.deepEqual(await problemsOf(cluster, isScaled), []);
  const count = overlay === 'three-tiers' ? 3 : 2;
  assert.equal(cluster.tiers().length, count);
  assert.equal(cluster.of('ScaledObject').length, isScaled ? count : 0);
});

for (const overlay of SCALED_OVERLAYS) {
  test(
    `${overlay}: nobody else sets the replicas of what is scaled; the bounds are those that the signal knows`,
    { skip: cannotRender },
    async () => {
      const cluster = await clusterOf(overlay);
      const read = readConfiguration(cluster.configuration());
      assert.ok(read.kind === 'valid', JSON.stringify(read));
      for (const { name, deployment, most, tiers } of scaledIn(cluster)) {
        assert.equal(deployment, name);
        assert.equal(cluster.workload(deployment).replicas, undefined, name);
        const [model = ''] = tiers.map((tier) => tier.slice(tier.indexOf('.') + 1));
        assert.equal(read.configuration.models[model]?.scaling.max_replicas, most, `${overlay}: ${name}`);
      }
    },
  );
}

/** The objects of a cluster with one of them changed, or left out. */
const changed = (cluster: Cluster, kind: string, name: string, change: (text: string) => string | null): Cluster => {
  assert.ok(cluster.find(kind, name), name);
  return new Cluster(
    cluster.objects.flatMap((object) => {
      if (object.kind !== kind || object.metadata.name !== name) return [object];
      const text = change(JSON.stringify(object));
      return text === null ? [] : [JSON.parse(text) as Rendered];
    }),
  );
};

test('the check of tiers finds what is wrong', { skip: cannotRender }, async () => {
  const cluster = await clusterOf('three-tiers');
  const without = (variable: string) => (text: string) => text.replace(`"${variable}"`, '"LOG_LEVEL"');
  const problems = async (kind: string, name: string, change: (text: string) => string | null): Promise<string[]> =>
    await problemsOf(changed(cluster, kind, name, change), true);
  assert.deepEqual(await problems('Deployment', 'drafter', without('SPILLWAY_MODELS')), [
    'drafter serves drafter.small,drafter.medium',
    'drafter.medium is served by drafter,drafter-medium',
  ]);
  assert.deepEqual(await problems('Deployment', 'drafter-medium', () => null), [
    'drafter.medium is served by nobody',
    'drafter-medium scales drafter-medium by the signal of drafter.medium',
  ]);
  assert.deepEqual(await problems('ScaledObject', 'drafter-medium', () => null), [
    'drafter.medium is scaled by nobody',
  ]);
  const toSmall = (text: string): string => text.replace('drafter/medium', 'drafter/small');
  assert.deepEqual(await problems('ScaledObject', 'drafter-medium', toSmall), [
    'drafter.medium is scaled by nobody',
    'drafter.small is scaled by drafter,drafter-medium',
    'drafter-medium scales drafter-medium by the signal of drafter.small',
  ]);
  const toDraft = (text: string): string => text.replace('drafter/medium', 'drafter/tiny');
  assert.deepEqual(await problems('ScaledObject', 'drafter-medium', toDraft), [
    'drafter.medium is scaled by nobody',
    'no cascade has drafter.tiny',
  ]);
});

test(
  'the pods of a further tier are those of the drafters, whichever component comes first',
  { skip: cannotRender },
  async () => {
    const [first, last] = await Promise.all(
      [
        ['drafter-medium', 'keda', 'redis-external'],
        ['redis-external', 'keda', 'drafter-medium'],
      ].map(async (components) => new Cluster(await renderWith(components))),
    );
    assert.deepEqual(first?.workload('drafter-medium'), last?.workload('drafter-medium'));
    const [own, base] = ['drafter-medium', 'drafter'].map((name) => JSON.stringify(first?.workload(name).pod));
    for (const { name, pod } of first?.services() ?? []) assert.match(JSON.stringify(pod), /"spillway-redis"/, name);
    assert.equal(
      own?.replaceAll('"value":"medium"', '"value":"small"').replaceAll('"drafter-medium"', '"drafter"'),
      base,
    );
  },
);

/** A model as those of the three-tier overlay, elsewhere. */
type Models = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

test(
  'the guide adds a tier: its commands, its stage and its components make one more',
  { skip: cannotRender },
  async () => {
    const guide = await readFile(join(ROOT, 'k8s/README.md'), 'utf8');
    const [, commands = ''] = /```bash\n(cp -r drafter-medium [^`]+)```/.exec(guide) ?? [];
    const [, cascade = ''] = /```yaml\n( +cascades:\n[^`]+)```/.exec(guide) ?? [];
    const three = parse((await clusterOf('three-tiers')).configuration()) as { models: Models; cascades: object };
    const named = parse(cascade) as { cascades: { contracts: object } };
    const tiny = { ...three.models['medium'], base_url: 'http://drafter-model-tiny:8000/v1', model: 'tiny' };
    const configuration = {
      models: { ...three.models, tiny, xl: three.models['large'] },
      cascades: {
        ...three.cascades,
        letters: named.cascades.contracts,
        reports: { drafter: 'small', expert: 'xl', accept_at: 0.9 },
      },
    };
    const components = [
      'drafter-tiny',
      'drafter-tiny/keda',
      'drafter-tiny/vllm-service',
      'expert-xl',
      'expert-xl/keda',
    ];
    const overlay = {
      apiVersion: 'kustomize.config.k8s.io/v1beta1',
      kind: 'Kustomization',
      namespace: 'spillway',
      resources: ['../three-tiers'],
      components: components.map((name) => `../../components/${name}`),
      configMapGenerator: [{ name: 'spillway-config', behavior: 'replace', files: ['spillway.yaml'] }],
    };
    const objects = await renderChanged('overlays/mine', async (copy) => {
      const cwd = join(copy, 'components');
      await run('bash', ['-euc', commands], { cwd });
      // "In the copy also `expert` for `drafter` and `large` for `small`, without its folder `vllm-service`."
      const expert = 's/medium/xl/g; s/drafter/expert/g; s/small/large/g';
      await run('bash', ['-euc', 'cp -r drafter-medium expert-xl && rm -r expert-xl/vllm-service'], { cwd });
      await run('bash', ['-euc', `find expert-xl -type f -exec perl -pi -e '${expert}' {} +`], { cwd });
      await mkdir(join(copy, 'overlays/mine'));
      await writeFile(join(copy, 'overlays/mine/kustomization.yaml'), stringify(overlay));
      await writeFile(join(copy, 'overlays/mine/spillway.yaml'), stringify(configuration));
    });
    const check = await openSchemas();
    assert.deepEqual(
      objects.map(check).filter((problem) => problem !== ''),
      [],
    );
    const cluster = new Cluster(objects);
    assert.deepEqual(cluster.tiers(), ['drafter.medium', 'drafter.small', 'drafter.tiny', 'expert.large', 'expert.xl']);
    assert.deepEqual(await problemsOf(cluster, true), []);
    const [server] = cluster.picked({ 'app.kubernetes.io/name': 'drafter-model-tiny' });
    assert.ok(server && main(server).args?.includes('--served-model-name=tiny'));
  },
);
