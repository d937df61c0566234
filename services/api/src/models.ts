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

function modelObject(api: Api, id: string) {
  return {
    id,
    object: 'model' as const,
    created: Math.floor(api.configuredAtMs / 1000),
    owned_by: 'spillway' as const,
  };
}
