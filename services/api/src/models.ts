import {
  judgeIn,
  modelSpecOf,
  roleOf,
  serverDigest,
  snapshotRules,
  stageKey,
  stageTier,
  type CascadeRules,
  type Configuration,
  type DatedFindings,
  type ModelFindings,
  type Price,
} from '@spillway/core';
import { readFindings, type RedisStore } from '@spillway/redis';
import { within, type Calibrations } from '@spillway/runtime';
import { noSuchModel } from './errors.ts';

/** What the models of a configuration are shown from. */
export type Catalogue = {
  readonly configuration: Configuration;
  readonly calibrations: Calibrations;
  /** Holds what the checks of the models found. */
  readonly redis: RedisStore;
  /** Shown as the time a model was made. */
  readonly configuredAtMs: number;
};

/** The catalogue is shown without Redis, too; only what checks found is not known then. */
const MAX_FINDINGS_MS = 500;

/** The cascades, as the models that a client may name. */
export async function listModels(catalogue: Catalogue) {
  const rules = rulesOf(catalogue);
  const findings = await findingsOf(catalogue, Object.values(rules));
  return {
    object: 'list' as const,
    data: Object.entries(rules).map(([name, own]) => modelObject(catalogue, { id: name, rules: own, findings })),
  };
}

export async function showModel(catalogue: Catalogue, name: string) {
  const all = rulesOf(catalogue);
  const rules = Object.hasOwn(all, name) ? all[name] : undefined;
  if (rules !== undefined) {
    return modelObject(catalogue, { id: name, rules, findings: await findingsOf(catalogue, [rules]) });
  }
  throw noSuchModel(name, Object.keys(all));
}

const rulesOf = ({ configuration, calibrations }: Catalogue): Record<string, CascadeRules> =>
  snapshotRules(configuration, calibrations.current(), false);

const tiersOf = (rules: CascadeRules): string[] => rules.stages.map((_, stage) => stageTier(rules, stage));

type Findings = ReadonlyMap<string, DatedFindings>;

async function findingsOf({ redis }: Catalogue, cascades: readonly CascadeRules[]): Promise<Findings> {
  const tiers = [...new Set(cascades.flatMap(tiersOf))];
  return await within(MAX_FINDINGS_MS, readFindings(redis, tiers)).catch(() => new Map());
}

/** A cascade as a model; beside OpenAI's keys, what it is made of, and what its model servers can do. */
function modelObject(
  { configuration, calibrations, configuredAtMs }: Catalogue,
  { id, rules, findings }: { readonly id: string; readonly rules: CascadeRules; readonly findings: Findings },
) {
  const current = calibrations.current();
  const stages = rules.stages.map((own, stage) => {
    const { model, ask, price } = own;
    const judge = judgeIn(own);
    const spec = modelSpecOf(configuration, model);
    return {
      name: model,
      model: spec.model,
      server: serverDigest(spec.base_url),
      role: roleOf(rules, stage),
      ask,
      price: price === null ? null : priceObject(price),
      signal: judge?.confidence.signal ?? null,
      calibration: current.get(stageKey(id, stage))?.calibration.method ?? null,
      accept_at: judge?.acceptAt ?? null,
    };
  });
  const servers = rules.stages.map(({ model }, stage) => {
    const last = findings.get(stageTier(rules, stage));
    return {
      name: model,
      role: roleOf(rules, stage),
      checked_at: last === undefined ? null : Math.floor(last.atMs / 1000),
      found: last === undefined ? null : shownFindings(last.found),
    };
  });
  return {
    id,
    object: 'model' as const,
    created: Math.floor(configuredAtMs / 1000),
    owned_by: 'spillway' as const,
    cascade: { stages },
    spillway: { servers },
  };
}

/**
 * What a check found, as tenants see it: the whole reason is the operator's, as it may name addresses, configuration keys
 * and other models of the server, and so may the server's own words.
 */
function shownFindings(found: ModelFindings) {
  const { said: _said, problem, ...shown } = found;
  const { reachable, known } = shown;
  const word = !reachable
    ? ('not_reachable' as const)
    : known === false
      ? ('model_unknown' as const)
      : ('refused' as const);
  return { ...shown, problem: problem === null ? null : word };
}

/** A price with what cached input tokens cost, which is as much as others where nothing else is configured. */
const priceObject = ({ input, cached_input = input, output }: Price) => ({ input, cached_input, output });
