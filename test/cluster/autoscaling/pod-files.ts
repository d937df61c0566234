import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Kubernetes, Pod } from './kubernetes.ts';

type Data = { readonly data?: Readonly<Record<string, string>> };

/**
 * What a kubelet gives a container: the environment and the files that its pod names. The files lie in a folder, so paths
 * of the environment lead there; a claim is the same folder for all pods that have it.
 */
export async function podEnvironment(
  kubernetes: Kubernetes,
  pod: Pod,
  directory: string,
): Promise<Record<string, string>> {
  const [{ env = [], envFrom = [], volumeMounts = [] }] = pod.spec.containers;
  const places = new Map<string, string>();
  for (const { name, mountPath } of volumeMounts) {
    const volume = pod.spec.volumes?.find((one) => one.name === name);
    const claim = volume?.persistentVolumeClaim?.claimName;
    const folder = claim === undefined ? join(directory, pod.metadata.name, name) : join(directory, claim);
    await mkdir(folder, { recursive: true });
    places.set(mountPath, folder);
    const secret = volume?.secret?.secretName;
    const files = secret ?? volume?.configMap?.name;
    if (files === undefined) continue;
    const found = await read(kubernetes, secret === undefined ? 'configmaps' : 'secrets', files, volume?.secret);
    for (const [file, text] of Object.entries(found)) await writeFile(join(folder, file), text);
  }
  const environment: Record<string, string> = {};
  for (const { configMapRef, secretRef } of envFrom) {
    if (configMapRef !== undefined) {
      Object.assign(environment, await read(kubernetes, 'configmaps', configMapRef.name, configMapRef));
    }
    if (secretRef !== undefined) {
      Object.assign(environment, await read(kubernetes, 'secrets', secretRef.name, secretRef));
    }
  }
  for (const { name, value } of env) environment[name] = value ?? '';
  return Object.fromEntries(Object.entries(environment).map(([name, value]) => [name, moved(value, places)]));
}

async function read(
  kubernetes: Kubernetes,
  kind: 'configmaps' | 'secrets',
  name: string,
  reference: { readonly optional?: boolean } | undefined,
): Promise<Record<string, string>> {
  const found = await kubernetes.get<Data>(`api/v1/${kind}/${name}`);
  if (found === null && reference?.optional !== true) throw new Error(`there is no ${name} among the ${kind}`);
  const entries = Object.entries(found?.data ?? {});
  if (kind === 'configmaps') return Object.fromEntries(entries);
  return Object.fromEntries(entries.map(([key, value]) => [key, Buffer.from(value, 'base64').toString('utf8')]));
}

/** A path in a container as a path on this machine. */
function moved(value: string, places: ReadonlyMap<string, string>): string {
  const bare = value.replace(/^file:\/\//, '');
  for (const [mountPath, folder] of places) {
    if (bare === mountPath || bare.startsWith(`${mountPath}/`)) return value.replace(mountPath, folder);
  }
  return value;
}
