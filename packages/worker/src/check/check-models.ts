import { openModelCheck } from '@spillway/cascade';
import {
  isFit,
  lackOf,
  modelsOfRole,
  ROLES,
  askLackOf,
  asksOf,
  signalsOf,
  type Configuration,
  type ModelFindings,
  type Role,
} from '@spillway/core';
import { EnvReader, loadConfiguration, NO_CONFIGURATION, type Env, type ServedModel } from '@spillway/runtime';
import { withKeys } from '../config.ts';

/** A model in a role, and what its check found. */
export type CheckReport = {
  readonly name: string;
  readonly role: Role;
  /** It can be asked, and what must be judged can be judged. */
  readonly ok: boolean;
  /** What it lacks for that, or why it cannot be asked; null: nothing. */
  readonly reason: string | null;
  readonly found: ModelFindings;
};

/** What `npm start` reads, too, where nothing else is named. */
const DEFAULT_CONFIG = 'spillway.yaml';

/** What a check needs of its surroundings, as a worker reads it; throws one SetupError with all that is wrong. */
export type CheckConfig = { readonly configuration: Configuration; readonly models: readonly ServedModel[] };

export function readCheckConfig(env: Env): CheckConfig {
  const reader = new EnvReader({ ...env, SPILLWAY_CONFIG: env['SPILLWAY_CONFIG'] || DEFAULT_CONFIG });
  const configuration = loadConfiguration(reader) ?? NO_CONFIGURATION;
  const cascades = Object.values(configuration.cascades);
  const names = new Set(ROLES.flatMap((role) => modelsOfRole(cascades, role)));
  const models = withKeys(reader, configuration, [...names]);
  reader.check();
  return { configuration, models };
}

/** Checks every model that a cascade asks, in each role that it has. */
export async function checkModels({ configuration, models }: CheckConfig, signal: AbortSignal): Promise<CheckReport[]> {
  const checks = ROLES.flatMap((role) => {
    const names = modelsOfRole(Object.values(configuration.cascades), role);
    return models.filter(({ name }) => names.includes(name)).map((served) => ({ role, served }));
  });
  const checked = await Promise.all(
    checks.map(async ({ role, served }): Promise<CheckReport[]> => {
      await using check = openModelCheck(served, { role, configuration });
      const begun = await check.begin(signal);
      const found = begun?.kind === 'answered' ? await check.complete(begun, signal) : (begun?.found ?? null);
      if (found === null) return [];
      const { name } = served;
      const signals = role === 'drafter' ? signalsOf(configuration.cascades, name) : [];
      const lack = lackOf(found, signals) ?? askLackOf(found, asksOf(configuration.cascades, name, role));
      return [{ name, role, ok: isFit(found, signals), reason: found.problem ?? lack, found }];
    }),
  );
  return checked.flat();
}
