import { beginDocumentCounters, callMeter, noticeMessage, openStageModel, type StageModel } from '@spillway/cascade';
import { asksOf, tierName, type Configuration, type DatedFindings, type Role } from '@spillway/core';
import type { Log, Meters } from '@spillway/runtime';
import type { CallableModel } from '../config.ts';
import { unavailable } from '../errors.ts';

export type DirectModelsOptions = {
  readonly configuration: Pick<Configuration, 'cascades'>;
  readonly log: Log;
  readonly meters: Meters;
  /** Whether model servers are told which trace a call belongs to. */
  readonly propagates: boolean;
  /** What the workers' checks found of some tiers' models. */
  readonly findings: (tiers: readonly string[]) => Promise<ReadonlyMap<string, DatedFindings>>;
};

/** Workers check a model when they start, so what is known of it seldom changes. */
const FINDINGS_MS = 60_000;

/** The models that answer at once, opened when they are first asked. */
export class DirectModels implements AsyncDisposable {
  readonly #models: ReadonlyMap<string, CallableModel>;
  readonly #options: DirectModelsOptions;
  readonly #open = new Map<string, StageModel>();
  /** When the findings of a tier were last asked for. */
  readonly #askedMs = new Map<string, number>();

  constructor(models: readonly CallableModel[], options: DirectModelsOptions) {
    this.#models = new Map(models.map((model) => [model.name, model]));
    this.#options = options;
    beginDocumentCounters(options.meters, options.configuration.cascades, () => true);
  }

  /** A model in a role; refuses one whose key this process does not have. */
  of(role: Role, name: string): StageModel {
    const known = this.#open.get(`${role} ${name}`);
    if (known !== undefined) return this.#informed(known, role, name);
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
    return this.#informed(opened, role, name);
  }

  /** A model that is to look at drafts learns whether its server can; until then it may be asked for whole answers. */
  #informed(model: StageModel, role: Role, name: string): StageModel {
    const { configuration, findings, log } = this.#options;
    const tier = tierName(role, name);
    const nowMs = performance.now();
    const isKnown = nowMs - (this.#askedMs.get(tier) ?? -FINDINGS_MS) < FINDINGS_MS;
    if (isKnown || asksOf(configuration.cascades, name, role).length === 0) return model;
    this.#askedMs.set(tier, nowMs);
    void findings([tier])
      .then((found) => {
        const own = found.get(tier);
        if (own !== undefined) model.findings = own.found;
      })
      .catch((error: unknown) => log.debug({ err: error, tier }, 'what a check found could not be read'));
    return model;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#open.values()].map((model) => model[Symbol.asyncDispose]()));
  }
}
