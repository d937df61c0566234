import { setTimeout as delay } from 'node:timers/promises';
import type { Service } from './service.ts';
import { signal } from './signal.ts';
import type { System } from './system.ts';

type Tier = {
  readonly service: 'drafter' | 'expert';
  readonly model: string;
};

/** What a tier had at one moment. */
export type Reading = {
  readonly service: string;
  readonly atMs: number;
  readonly replicas: number;
  readonly required: number;
};

const POLL_MS = 200;
/** A replica goes when nobody asked for it for this long; KEDA's own is minutes. */
const CALM_MS = 600;

/** A loop that obeys the scaling signal with processes, as KEDA does with pods: it grows at once and shrinks one at a time. */
export class Autoscaler implements AsyncDisposable {
  readonly readings: Reading[] = [];
  /** Exit codes of the replicas that were taken away. */
  readonly removed: (number | null)[] = [];
  readonly #system: System;
  readonly #api: Service;
  readonly #stop = new AbortController();
  readonly #loops: Promise<void>[];
  readonly #replicas = new Map<string, Service[]>();

  constructor(system: System, api: Service, tiers: readonly Tier[]) {
    this.#system = system;
    this.#api = api;
    for (const { service } of tiers)
      this.#replicas.set(
        service,
        system.services.filter(({ name }) => name === service),
      );
    this.#loops = tiers.map((tier) => this.#follow(tier));
  }

  replicas(service: Tier['service']): number {
    return this.#replicas.get(service)?.length ?? 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#loops);
  }

  async #follow({ service, model }: Tier): Promise<void> {
    const own = this.#replicas.get(service) ?? [];
    let neededAtMs = Date.now();
    while (!this.#stop.signal.aborted) {
      const { status, body } = await signal(this.#api, `${service}/${model}`);
      // While Redis recovers there is no number, and nothing changes.
      if (status === 200) {
        const required = Math.max(1, body.required);
        this.readings.push({ service, atMs: Date.now(), replicas: own.length, required });
        if (required >= own.length) {
          const lacking = Array.from({ length: required - own.length }, () => this.#system.run(service));
          own.push(...(await Promise.all(lacking)));
          neededAtMs = Date.now();
        } else if (Date.now() - neededAtMs > CALM_MS) {
          neededAtMs = Date.now();
          this.removed.push((await own.pop()?.stop()) ?? null);
        }
      }
      await delay(POLL_MS, undefined, { signal: this.#stop.signal }).catch(() => undefined);
    }
  }
}
