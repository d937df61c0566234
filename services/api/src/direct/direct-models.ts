import { beginDocumentCounters, callMeter, noticeMessage, openStageModel, type StageModel } from '@spillway/cascade';
import type { Configuration, Role } from '@spillway/core';
import type { Log, Meters } from '@spillway/runtime';
import type { CallableModel } from '../config.ts';
import { unavailable } from '../errors.ts';

export type DirectModelsOptions = {
  readonly configuration: Pick<Configuration, 'cascades'>;
  readonly log: Log;
  readonly meters: Meters;
  /** Whether model servers are told which trace a call belongs to. */
  readonly propagates: boolean;
};

/** The models that answer at once, opened when they are first asked. */
export class DirectModels implements AsyncDisposable {
  readonly #models: ReadonlyMap<string, CallableModel>;
  readonly #options: DirectModelsOptions;
  readonly #open = new Map<string, StageModel>();

  constructor(models: readonly CallableModel[], options: DirectModelsOptions) {
    this.#models = new Map(models.map((model) => [model.name, model]));
    this.#options = options;
    beginDocumentCounters(options.meters, options.configuration.cascades, () => true);
  }

  /** A model in a role; refuses one whose key this process does not have. */
  of(role: Role, name: string): StageModel {
    const known = this.#open.get(`${role} ${name}`);
    if (known !== undefined) return known;
    const model = this.#models.get(name);
    if (model === undefined) throw new Error(`no model ${name} is configured`);
    const { apiKey } = model;
    if (typeof apiKey === 'object' && apiKey !== null) {
      throw unavailable(`The model '${name}' cannot be asked at once: ${apiKey.lacking} is not set for the API.`, 60);
    }
    const { configuration, log, meters, propagates } = this.#options;
    const opened = openStageModel(
      { ...model, apiKey },
      {
        role,
        configuration,
        propagates,
        onCall: callMeter(meters),
        onNotice: (notice) => log.warn(notice, noticeMessage(notice)),
      },
    );
    this.#open.set(`${role} ${name}`, opened);
    return opened;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#open.values()].map((model) => model[Symbol.asyncDispose]()));
  }
}
