import { roleOf, snapshotRules, stageKey, type Configuration, type Price } from '@spillway/core';
import type { Calibrations } from '@spillway/runtime';
import { noSuchModel } from './errors.ts';

/** What the models of a configuration are shown from. */
export type Catalogue = {
  readonly configuration: Configuration;
  readonly calibrations: Calibrations;
  /** Shown as the time a model was made. */
  readonly configuredAtMs: number;
};

/** The cascades, as the models that a client may name. */
export function listModels(catalogue: Catalogue) {
  return {
    object: 'list' as const,
    data: Object.keys(catalogue.configuration.cascades).map((name) => modelObject(catalogue, name)),
  };
}

export function showModel(catalogue: Catalogue, name: string) {
  const { cascades } = catalogue.configuration;
  if (Object.hasOwn(cascades, name)) return modelObject(catalogue, name);
  throw noSuchModel(name, Object.keys(cascades));
}

/** A cascade as a model; beside OpenAI's keys, what it is made of. */
function modelObject({ configuration, calibrations, configuredAtMs }: Catalogue, id: string) {
  const current = calibrations.current();
  const rules = snapshotRules(configuration, current, false)[id];
  if (rules === undefined) throw new Error(`no cascade ${id}`);
  const stages = rules.stages.map(({ model, ask, judge, price }, stage) => ({
    name: model,
    model: configuration.models[model]?.model ?? model,
    role: roleOf(rules, stage),
    ask,
    price: price === null ? null : priceObject(price),
    signal: judge?.confidence.signal ?? null,
    calibration: current.get(stageKey(id, stage))?.calibration.method ?? null,
    accept_at: judge?.acceptAt ?? null,
  }));
  return {
    id,
    object: 'model' as const,
    created: Math.floor(configuredAtMs / 1000),
    owned_by: 'spillway' as const,
    cascade: { stages },
  };
}

/** A price with what cached input tokens cost, which is as much as others where nothing else is configured. */
const priceObject = ({ input, cached_input = input, output }: Price) => ({ input, cached_input, output });
