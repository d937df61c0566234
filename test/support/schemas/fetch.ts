import { execFileSync } from 'node:child_process';
import { isJsonObject, type JsonObject } from '@spillway/core';

/**
 * Prints the schemas of the kinds that k8s/ uses, as an API server publishes them, without their descriptions:
 * `node test/support/schemas/fetch.ts > test/support/schemas/kubernetes.json`, with a kubectl whose cluster has KEDA and
 * the Prometheus operator's resources. What is there now is of Kubernetes 1.35.4, KEDA 2.20.2, Prometheus operator 0.85.0.
 */

const KINDS: Readonly<Record<string, readonly string[]>> = {
  'api/v1': ['ConfigMap', 'Namespace', 'PersistentVolumeClaim', 'Service', 'ServiceAccount'],
  'apis/apps/v1': ['Deployment', 'StatefulSet'],
  'apis/networking.k8s.io/v1': ['NetworkPolicy'],
  'apis/policy/v1': ['PodDisruptionBudget'],
  'apis/scheduling.k8s.io/v1': ['PriorityClass'],
  'apis/keda.sh/v1alpha1': ['ScaledObject'],
  'apis/monitoring.coreos.com/v1': ['PodMonitor', 'PrometheusRule'],
};

type Schema = JsonObject & { readonly 'x-kubernetes-group-version-kind'?: readonly { readonly kind: string }[] };

const REFERENCE = '#/components/schemas/';

/** Without what says nothing of what is right; a property called description has a schema, which is an object. */
function bare(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(bare);
  if (!isJsonObject(value)) return value;
  const kept = Object.entries(value).filter(([key, item]) => key !== 'description' || isJsonObject(item));
  return Object.fromEntries(
    kept.map(([key, item]) => [key, key === '$ref' && typeof item === 'string' ? item.replace(REFERENCE, '#/definitions/') : bare(item)]),
  );
}

function namesIn(value: unknown): string[] {
  return [...JSON.stringify(value).matchAll(/"#\/components\/schemas\/([^"]+)"/g)].map(([, name = '']) => name);
}

const definitions: Record<string, unknown> = {};
const kinds: Record<string, string> = {};
for (const [path, wanted] of Object.entries(KINDS)) {
  const text = execFileSync('kubectl', ['get', '--raw', `/openapi/v3/${path}`], { encoding: 'utf8', maxBuffer: 2 ** 27 });
  const { schemas } = (JSON.parse(text) as { components: { schemas: Record<string, Schema> } }).components;
  const waiting: string[] = [];
  for (const kind of wanted) {
    const [name] =
      Object.entries(schemas).find(([, schema]) => schema['x-kubernetes-group-version-kind']?.some((one) => one.kind === kind)) ?? [];
    if (name === undefined) throw new Error(`${path} has no ${kind}`);
    kinds[`${path.replace(/^apis?\//, '')}/${kind}`] = name;
    waiting.push(name);
  }
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (name in definitions) continue;
    definitions[name] = bare(schemas[name]);
    waiting.push(...namesIn(schemas[name]));
  }
}
process.stdout.write(`${JSON.stringify({ kinds, definitions })}\n`);
