import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { freePort } from '../../support/redis.ts';
import { until } from '../../support/system.ts';
import { writeCertificates } from './certificates.ts';
import { planControlPlane, type Program } from './programs.ts';

const run = promisify(execFile);
const NODES = fileURLToPath(new URL('nodes.yaml', import.meta.url));
const MAX_START_MS = 180_000;

/** A real control plane on this machine; the nodes are kwok's. What its programs say is in `logs`, a file each. */
export class ControlPlane implements AsyncDisposable {
  readonly #binaries: string;
  readonly #directory: string;
  readonly #children: { readonly name: string; readonly child: ChildProcess }[] = [];
  #kubeconfig = '';
  #origin = '';

  private constructor(binaries: string, directory: string) {
    this.#binaries = binaries;
    this.#directory = directory;
  }

  static async start(options: { binaries: string; directory: string; proxyUrl: string }): Promise<ControlPlane> {
    const plane = new ControlPlane(options.binaries, options.directory);
    try {
      await plane.#start(options.proxyUrl);
      return plane;
    } catch (error) {
      await plane[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The API server, without a key, for this run only. */
  get origin(): string {
    return this.#origin;
  }

  /** What kubectl answers. */
  async kubectl(...args: readonly string[]): Promise<string> {
    const { stdout } = await run('kubectl', ['--kubeconfig', this.#kubeconfig, ...args], { maxBuffer: 2 ** 26 });
    return stdout;
  }

  /** Latest first, so that nobody complains of one that is gone. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const { child } of this.#children.toReversed()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const exited = once(child, 'exit');
      child.kill('SIGTERM');
      const hard = setTimeout(() => child.kill('SIGKILL'), 5_000);
      await exited;
      clearTimeout(hard);
    }
  }

  async #start(proxyUrl: string): Promise<void> {
    await mkdir(join(this.#directory, 'logs'), { recursive: true });
    await writeCertificates(this.#directory);
    const { programs, kubeconfig, metricsPort } = await planControlPlane(this.#directory, proxyUrl);
    this.#kubeconfig = kubeconfig;
    const [etcd, apiServer, ...others] = programs;
    if (etcd === undefined || apiServer === undefined) throw new Error('no programs');
    this.#spawn(etcd);
    this.#spawn(apiServer);
    await this.#answers('get', '--raw', '/readyz');
    const port = await freePort();
    this.#spawn({ name: 'kubectl', args: ['--kubeconfig', kubeconfig, 'proxy', `--port=${port}`] }, 'kubectl');
    this.#origin = `http://127.0.0.1:${port}`;
    await this.kubectl('apply', '-f', NODES);
    await this.kubectl('apply', '--server-side', '-f', join(this.#binaries, 'keda-crds.yaml'));
    await this.#serveMetrics(metricsPort);
    for (const program of others) this.#spawn(program);
    await this.#answers('get', '--raw', '/apis/external.metrics.k8s.io/v1beta1');
  }

  /** Leads the API server to KEDA's metrics, as its chart does. */
  async #serveMetrics(port: number): Promise<void> {
    const caBundle = (await readFile(join(this.#directory, 'ca.crt'))).toString('base64');
    const group = 'external.metrics.k8s.io';
    const service = {
      apiVersion: 'apiregistration.k8s.io/v1',
      kind: 'APIService',
      metadata: { name: `v1beta1.${group}` },
      spec: {
        // The name of the certificate is that of the Service; here that is this machine.
        service: { namespace: 'keda', name: 'keda-metrics-apiserver', port },
        group,
        version: 'v1beta1',
        groupPriorityMinimum: 100,
        versionPriority: 100,
        caBundle,
      },
    };
    await this.#apply(service);
  }

  async #apply(object: object): Promise<void> {
    const applying = run('kubectl', ['--kubeconfig', this.#kubeconfig, 'apply', '-f', '-']);
    applying.child.stdin?.end(JSON.stringify(object));
    await applying;
  }

  async #answers(...args: readonly string[]): Promise<void> {
    const asked = async (): Promise<boolean> => {
      const ended = this.#children.find(({ child }) => child.exitCode !== null);
      if (ended !== undefined) throw new Error(`${ended.name} ended: see ${this.#directory}/logs`);
      return await this.kubectl(...args).then(
        () => true,
        () => false,
      );
    };
    await until(asked, MAX_START_MS);
  }

  #spawn({ name, args, env = {} }: Program, path = join(this.#binaries, name)): void {
    const log = openSync(join(this.#directory, 'logs', name), 'a');
    const { PATH = '', HOME = '' } = process.env;
    const child = spawn(path, args, { env: { PATH, HOME, ...env }, stdio: ['ignore', log, log] });
    this.#children.push({ name, child });
  }
}
