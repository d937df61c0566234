import { applySettings, mergeSettings, NO_SETTINGS, type Configuration, type Role } from '@spillway/core';
import { ModelCheck } from '@spillway/models';
import type { ServedModel } from '@spillway/runtime';

export type { ModelCheck } from '@spillway/models';

/**
 * Opens the check of a model in one role. Its calls go through the model's settings as documents do; where cascades have
 * settings of their own for it, through those of the first.
 */
export function openModelCheck(
  { name, spec, apiKey }: ServedModel,
  { role, configuration }: { readonly role: Role; readonly configuration: Pick<Configuration, 'cascades'> },
): ModelCheck {
  const stage = Object.values(configuration.cascades)
    .flatMap(({ stages }) => stages.filter((_, index) => (index === stages.length - 1) === (role === 'expert')))
    .find(({ model }) => model === name);
  const settings = mergeSettings(spec, stage ?? NO_SETTINGS);
  return new ModelCheck({
    name,
    model: spec.model,
    baseURL: spec.base_url,
    apiKey,
    timeoutMs: spec.timeout_s * 1_000,
    prepare: ({ body, endpoint, own }) => applySettings(body, endpoint, settings, own),
  });
}
