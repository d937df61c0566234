import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Service, type ServiceName } from '../../support/service.ts';
import type { Kubernetes, Pod } from './kubernetes.ts';
import { podEnvironment } from './pod-files.ts';

/** Holds a pod until its process has ended, as a kubelet would. */
const FINALIZER = 'spillway.dev/process';
/** Where many start at once, the machine has two cores for all of them. */
const MAX_START_MS = 300_000;
const RESTART_MS = 2_000;

type Running = {
  readonly service: ServiceName;
  readonly process: Service;
  isReady: boolean;
  isLeaving: boolean;
};

/** How a process ended. */
type Ending = { readonly pod: string; readonly code: number | null; readonly signal: string | null };

/**
 * A process for every pod that kwok marks as running: it starts with the pod, gets SIGTERM when the pod is to go, and the
 * pod goes when it has ended.
 */
export class PodProcesses implements AsyncDisposable {
  readonly endings: Ending[] = [];
  readonly #kubernetes: Kubernetes;
  readonly #directory: string;
  readonly #stop = new AbortController();
  readonly #known = new Set<string>();
  readonly #running = new Map<string, Running>();
  readonly #work = new Set<Promise<void>>();
  readonly #watching: Promise<void>;
  readonly #failed: (error: unknown) => void;

  constructor(kubernetes: Kubernetes, directory: string, failed: (error: unknown) => void) {
    this.#kubernetes = kubernetes;
    this.#directory = directory;
    this.#failed = failed;
    this.#watching = kubernetes
      .watchPods((pod, isGone) => this.#see(pod, isGone), this.#stop.signal)
      .catch((error: unknown) => {
        if (!this.#stop.signal.aborted) failed(error);
      });
  }

  /** How many processes of a service are ready, those that are on their way left out. */
  ready(service: ServiceName): number {
    return this.#of(service).length;
  }

  /** A ready process of a service; null: there is none. */
  one(service: ServiceName): Service | null {
    return this.#of(service)[0]?.process ?? null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#watching;
    await Promise.all([...this.#running.values()].map(({ process }) => process.kill()));
    await Promise.allSettled(this.#work);
  }

  #of(service: ServiceName): Running[] {
    return [...this.#running.values()].filter((one) => one.service === service && one.isReady && !one.isLeaving);
  }

  #see(pod: Pod, isGone: boolean): void {
    const { name, deletionTimestamp } = pod.metadata;
    if (isGone) return;
    if (deletionTimestamp !== undefined) this.#follow(this.#end(name));
    else if (pod.status.phase === 'Running' && !this.#known.has(name)) {
      this.#known.add(name);
      this.#follow(this.#begin(pod));
    }
  }

  #follow(work: Promise<void>): void {
    const followed = work.catch((error: unknown) => {
      if (!this.#stop.signal.aborted) this.#failed(error);
    });
    this.#work.add(followed);
    void followed.finally(() => this.#work.delete(followed));
  }

  async #begin(pod: Pod): Promise<void> {
    const { name, labels } = pod.metadata;
    const service = labels?.['app.kubernetes.io/name'] as ServiceName;
    if (!(await this.#kubernetes.setFinalizers(name, [FINALIZER]))) return;
    const environment = await podEnvironment(this.#kubernetes, pod, this.#directory);
    // Many pods share this machine's ports; whoever asks one goes through its Service.
    const own = {
      HOST: '127.0.0.1',
      PORT: '0',
      HEALTH_PORT: '0',
      NODE_COMPILE_CACHE: join(this.#directory, 'compiled'),
    };
    const process = new Service(service, { ...environment, ...own });
    const running: Running = { service, process, isReady: false, isLeaving: false };
    this.#running.set(name, running);
    process.child.once('exit', (code, signal) => {
      this.endings.push({ pod: name, code, signal });
      this.#running.delete(name);
      if (this.#stop.signal.aborted) return;
      // One that ends by itself is followed by another, as by a kubelet.
      this.#follow(running.isLeaving ? this.#release(name) : delay(RESTART_MS).then(() => this.#begin(pod)));
    });
    const left = await this.#kubernetes.get<Pod>(`api/v1/pods/${name}`);
    if (left?.metadata.deletionTimestamp !== undefined) return await this.#end(name);
    await process
      .waitFor(({ msg }) => msg === 'ready', MAX_START_MS)
      .catch((error: unknown) => {
        if (process.child.exitCode === null) throw error;
      });
    if (process.child.exitCode !== null) return;
    running.isReady = true;
  }

  async #release(name: string): Promise<void> {
    await this.#kubernetes.setFinalizers(name, []);
  }

  async #end(name: string): Promise<void> {
    const running = this.#running.get(name);
    if (running === undefined || running.isLeaving) return;
    running.isLeaving = true;
    await running.process.stop();
  }
}
