import type { Api } from './api.ts';
import { ApiError, shown } from './errors.ts';

/** The cascades, as the models that a client may name. */
export function listModels(api: Api) {
  return {
    object: 'list' as const,
    data: Object.keys(api.configuration.cascades).map((name) => modelObject(api, name)),
  };
}

export function showModel(api: Api, name: string) {
  if (Object.hasOwn(api.configuration.cascades, name)) return modelObject(api, name);
  throw new ApiError(404, `The model '${shown(name)}' does not exist.`, { param: 'model', code: 'model_not_found' });
}

/** A cascade as a model; beside OpenAI's keys, what it is made of. */
function modelObject(api: Api, id: string) {
  const { models, cascades } = api.configuration;
  const spec = cascades[id];
  if (spec === undefined) throw new Error(`no cascade ${id}`);
  const tier = (name: string) => ({ name, model: models[name]?.model ?? name, price: models[name]?.price ?? null });
  const calibration = api.calibrations.current().get(id);
  return {
    id,
    object: 'model' as const,
    created: Math.floor(api.configuredAtMs / 1000),
    owned_by: 'spillway' as const,
    cascade: {
      drafter: tier(spec.drafter),
      expert: tier(spec.expert),
      signal: spec.confidence.signal,
      calibration: calibration?.calibration.method ?? null,
      accept_at: spec.accept_at,
    },
  };
}
