import { execFile, spawnSync } from 'node:child_process';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Ajv, type ValidateFunction } from 'ajv';
import { parseAllDocuments } from 'yaml';

const run = promisify(execFile);
const K8S = fileURLToPath(new URL('../../k8s/', import.meta.url));

/** A rendered object, as far as the tests look at it. */
export type Rendered = {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly [key: string]: unknown;
};

/** What renders on this machine, and how it says which kustomize it is: itself, or within kubectl. */
const TOOLS = [
  { name: 'kustomize', verb: 'build', asks: ['version'], version: /v(\d+)\./ },
  { name: 'kubectl', verb: 'kustomize', asks: ['version', '--client'], version: /Kustomize Version: v(\d+)\./ },
] as const;
/** The first that has components, replacements and all that they are used with here. */
const MIN_KUSTOMIZE = 5;

const tool = TOOLS.find(({ name, asks, version }) => {
  const { stdout } = spawnSync(name, asks, { encoding: 'utf8' });
  return Number(version.exec(stdout ?? '')?.[1] ?? 0) >= MIN_KUSTOMIZE;
});

/** Why nothing is rendered here; false: it is. */
export const cannotRender: string | false =
  tool === undefined ? 'this machine has neither kustomize 5 nor a kubectl of 1.27 or newer' : false;

/** The objects of a folder of k8s/. */
export async function render(folder: string): Promise<Rendered[]> {
  return await renderAt(join(K8S, folder));
}

/** The names of all components, those within others too, as paths below k8s/components. */
export async function componentNames(): Promise<string[]> {
  const files = await readdir(join(K8S, 'components'), { recursive: true });
  const found = files
    .filter((file) => file.endsWith('kustomization.yaml'))
    .map(async (file) => {
      const text = await readFile(join(K8S, 'components', file), 'utf8');
      return text.includes('\nkind: Component\n') ? [dirname(file)] : [];
    });
  return (await Promise.all(found)).flat().toSorted();
}

/** The objects of a folder of a copy of k8s/ that was changed. */
export async function renderChanged(folder: string, change: (copy: string) => Promise<void>): Promise<Rendered[]> {
  const directory = await mkdtemp(join(tmpdir(), 'spillway-k8s-'));
  try {
    await cp(K8S, directory, { recursive: true });
    await change(directory);
    return await renderAt(join(directory, folder));
  } finally {
    await rm(directory, { recursive: true });
  }
}

/** The objects of an overlay that stands elsewhere, as if it stood in k8s/overlays. */
export async function renderOverlay(text: string, files: Readonly<Record<string, string>>): Promise<Rendered[]> {
  return await inFolder(async (directory) => {
    const overlays = relative(directory, join(K8S, 'overlays'));
    await writeFile(join(directory, 'kustomization.yaml'), text.replaceAll('../', `${overlays}/`));
    for (const [name, content] of Object.entries(files)) await writeFile(join(directory, name), content);
  });
}

/** The objects of the base with some components. */
export async function renderWith(components: readonly string[]): Promise<Rendered[]> {
  return await inFolder(async (directory) => {
    const file = {
      apiVersion: 'kustomize.config.k8s.io/v1beta1',
      kind: 'Kustomization',
      namespace: 'spillway',
      resources: [relative(directory, join(K8S, 'base'))],
      components: components.map((name) => relative(directory, join(K8S, 'components', name))),
    };
    await writeFile(join(directory, 'kustomization.yaml'), JSON.stringify(file));
  });
}

async function inFolder(fill: (directory: string) => Promise<void>): Promise<Rendered[]> {
  const directory = await mkdtemp(join(tmpdir(), 'spillway-k8s-'));
  try {
    await fill(directory);
    return await renderAt(directory);
  } finally {
    await rm(directory, { recursive: true });
  }
}

async function renderAt(path: string): Promise<Rendered[]> {
  if (tool === undefined) throw new Error('nothing renders here');
  const { stdout, stderr } = await run(tool.name, [tool.verb, path], { maxBuffer: 2 ** 25 });
  if (/deprecat/i.test(stderr)) throw new Error(stderr);
  return parseAllDocuments(stdout).map((document) => document.toJS({ maxAliasCount: -1 }) as Rendered);
}

type Schemas = {
  readonly kinds: Readonly<Record<string, string>>;
  readonly definitions: Readonly<Record<string, unknown>>;
};

/** Says what is wrong with an object by the schemas of an API server, for which an unknown field is an error; or nothing. */
export async function openSchemas(): Promise<(object: Rendered) => string> {
  const text = await readFile(new URL('schemas/kubernetes.json', import.meta.url), 'utf8');
  const { kinds, definitions } = strict(JSON.parse(text)) as Schemas;
  const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false });
  ajv.addSchema({ $id: 'kubernetes', definitions });
  const compiled = new Map<string, ValidateFunction>();
  return (object) => {
    const kind = `${object.apiVersion}/${object.kind}`;
    const name = kinds[kind];
    if (name === undefined) return `no schema of ${kind}: see test/support/schemas/fetch.ts`;
    const validate = compiled.get(name) ?? ajv.compile({ $ref: `kubernetes#/definitions/${name}` });
    compiled.set(name, validate);
    const isRight: boolean = validate(object);
    if (isRight) return '';
    const errors = (validate.errors ?? []).map(
      ({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`,
    );
    return `${object.kind} ${object.metadata.name}: ${errors.join('; ')}`;
  };
}

/** An object's schema that names its properties allows no others, as an API server that validates strictly. */
function strict(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(strict);
  if (typeof value !== 'object' || value === null) return value;
  const schema = Object.fromEntries(Object.entries(value).map(([key, item]) => [key, strict(item)]));
  // Go's flags in a pattern mean nothing here.
  if (typeof schema['pattern'] === 'string' && schema['pattern'].includes('(?i)')) delete schema['pattern'];
  const closes = 'properties' in schema && schema['type'] === 'object' && !('additionalProperties' in schema);
  return closes && schema['x-kubernetes-preserve-unknown-fields'] !== true
    ? { ...schema, additionalProperties: false }
    : schema;
}
