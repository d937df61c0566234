import type { Role } from '@spillway/core';
import { callMeter, openTier, type ModelTier } from '@spillway/models';
import type { Meters, ServedModel } from '@spillway/runtime';
import type { Api } from '../api.ts';
import { unavailable } from '../errors.ts';

/** A model as this process may call it. The key is only wanted once it does. */
export type CallableModel = Omit<ServedModel, 'apiKey'> & {
  readonly apiKey: string | null | { readonly lacking: string };
};

type DirectDesk = { readonly log: Api['log']; readonly propagates: boolean; readonly meters: Meters };

/** The models that answer at once, opened when they are first asked. */
export class DirectTiers implements AsyncDisposable {
  readonly #models: ReadonlyMap<string, CallableModel>;
  readonly #shared: DirectDesk;
  readonly #open = new Map<string, ModelTier>();

  constructor(models: readonly CallableModel[], shared: DirectDesk) {
    this.#models = new Map(models.map((model) => [model.name, model]));
    this.#shared = shared;
  }

  tier(role: Role, name: string): ModelTier {
    const known = this.#open.get(`${role} ${name}`);
    if (known !== undefined) return known;
    const model = this.#models.get(name);
    if (model === undefined) throw new Error(`no model ${name} is configured`);
    const { apiKey } = model;
    if (typeof apiKey === 'object' && apiKey !== null) {
      throw unavailable(`The model '${name}' cannot be asked at once: ${apiKey.lacking} is not set for the API.`, 60);
    }
    const { log, propagates, meters } = this.#shared;
    const tier = openTier(
      { ...model, apiKey },
      {
        role,
        propagates,
        onCall: callMeter(meters),
        onNotice: (notice) => log.warn(notice, 'every document will escalate'),
      },
    );
    this.#open.set(`${role} ${name}`, tier);
    return tier;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#open.values()].map((tier) => tier[Symbol.asyncDispose]()));
  }
}
