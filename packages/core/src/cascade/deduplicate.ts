import type { Configuration } from '../config.ts';
import type { CascadeSpec } from './spec.ts';
import type { EndpointUrl } from '../endpoints/index.ts';
import type { JsonObject } from '../text/json.ts';
import { applySettings, mergeSettings, type RequestSettings } from './settings.ts';

/**
 * Which documents of a cascade are answered alike whenever they are asked, as far as its models are: those that every
 * stage asks at a temperature of 0. Servers that are told none take another.
 */
export const DEDUPLICATE_RULES = [
  /** None, or nobody wants it. */
  'never',
  /** Those whose own temperature is 0. */
  'as_asked',
  /** Those that have none of their own, too: it is 0 by default. */
  'unless_asked_otherwise',
  /** All: it is 0 in any case. */
  'always',
] as const;
export type DeduplicateRule = (typeof DEDUPLICATE_RULES)[number];

/** Any temperature but 0. */
const WARM = 0.5;

/** The rule of a cascade, as its stages' settings are now. */
export function deduplicateRule(
  { models }: Pick<Configuration, 'models'>,
  { stages }: CascadeSpec,
  endpoint: EndpointUrl,
): DeduplicateRule {
  const settings = stages.map((stage): Omit<RequestSettings, 'system'> => {
    const model = models[stage.model];
    return model === undefined ? stage : mergeSettings(model, stage);
  });
  const isCold = (body: JsonObject): boolean => settings.every((one) => isColdBy(one, body, endpoint));
  if (!isCold({ temperature: 0 })) return 'never';
  if (!isCold({})) return 'as_asked';
  return isCold({ temperature: WARM }) ? 'always' : 'unless_asked_otherwise';
}

/** Whether a server is asked at 0, whatever else the body has that is renamed for it. */
function isColdBy(settings: Omit<RequestSettings, 'system'>, body: JsonObject, endpoint: EndpointUrl): boolean {
  const { rename } = settings;
  const name = nameOf(settings, endpoint);
  const names = [name, ...Object.keys(rename), ...Object.keys(rename[endpoint] ?? {})];
  const renamed = Object.fromEntries(names.filter((one) => one !== 'temperature').map((one) => [one, WARM]));
  return [body, { ...renamed, ...body }].every((asked) => {
    const sent = applySettings(asked, endpoint, settings);
    return sent[name] === 0 && (name === 'temperature' || sent['temperature'] === undefined);
  });
}

/** What a server calls the temperature. */
function nameOf({ rename }: Pick<RequestSettings, 'rename'>, endpoint: EndpointUrl): string {
  const own = rename[endpoint];
  const general = rename['temperature'];
  const special = typeof own === 'object' ? own['temperature'] : undefined;
  return special ?? (typeof general === 'string' ? general : 'temperature');
}

/** Whether a document with this body is answered like others with the same one. */
export function isDeduplicated(rule: DeduplicateRule | undefined, body: JsonObject): boolean {
  const { temperature } = body;
  switch (rule) {
    case undefined:
    case 'never':
      return false;
    case 'as_asked':
      return temperature === 0;
    case 'unless_asked_otherwise':
      return temperature === 0 || temperature === undefined;
    case 'always':
      return true;
  }
}
