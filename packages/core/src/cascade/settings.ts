import { z } from 'zod';
import { ENDPOINT_URLS, type EndpointUrl } from '../endpoints/index.ts';
import { isJsonObject, type Json, type JsonObject } from '../text/json.ts';

/** Fields that Spillway itself sets or reads: a setting that touched them would break the judging of drafts. */
const RESERVED: ReadonlySet<string> = new Set([
  'stream',
  'stream_options',
  'n',
  'model',
  'messages',
  'prompt',
  'input',
  'logprobs',
  'top_logprobs',
  'tools',
  'response_format',
  // Of Responses: by it log-probs are asked for. Its `text.format` is refused below.
  'include',
]);

const isEndpoint = (key: string): key is EndpointUrl => (ENDPOINT_URLS as readonly string[]).includes(key);

const noEndpoint = `expected a field, or one of ${ENDPOINT_URLS.join(', ')}`;

const reserved = (key: string): string => `no "${key}" (Spillway sets it itself)`;

/** Without `text` a Responses request has no format either. */
const isReserved = (name: string): boolean => RESERVED.has(name) || name === 'text';

/** The reserved fields among some fields of requests, by their paths. */
function reservedIn(given: JsonObject): string[][] {
  const { text } = given;
  const hasFormat = isJsonObject(text) && Object.hasOwn(text, 'format');
  const isReplaced = text !== undefined && !isJsonObject(text);
  const own = Object.keys(given).filter((key) => RESERVED.has(key) || (key === 'text' && isReplaced));
  return [...own.map((key) => [key]), ...(hasFormat ? [['text', 'format']] : [])];
}

/** Fields of requests; under the name of an endpoint, fields of its requests only. */
const fields = z.custom<JsonObject>(isJsonObject, 'expected fields of requests').superRefine((given, context) => {
  const check = (found: JsonObject, at: readonly string[]): void => {
    for (const path of reservedIn(found)) {
      context.addIssue({ code: 'custom', path: [...at, ...path], message: reserved(path.join('.')) });
    }
  };
  check(given, []);
  for (const [key, value] of Object.entries(given)) {
    if (!isEndpoint(key)) {
      if (key.startsWith('/')) context.addIssue({ code: 'custom', path: [key], message: noEndpoint });
    } else if (isJsonObject(value)) check(value, [key]);
    else context.addIssue({ code: 'custom', path: [key], message: 'expected fields of requests' });
  }
});

const names = z.record(z.string(), z.string().min(1));

const rename = z
  .record(z.string(), z.union([z.string().min(1), names], 'expected the new name of a field'))
  .superRefine((given, context) => {
    const check = (path: readonly string[], from: string, to: string): void => {
      for (const name of [from, to]) {
        if (isReserved(name)) context.addIssue({ code: 'custom', path: [...path, from], message: reserved(name) });
      }
    };
    for (const [key, value] of Object.entries(given)) {
      if (key.startsWith('/') && !isEndpoint(key))
        context.addIssue({ code: 'custom', path: [key], message: noEndpoint });
      else if (typeof value === 'string' && !isEndpoint(key)) check([], key, value);
      else if (typeof value !== 'string' && isEndpoint(key))
        for (const [from, to] of Object.entries(value)) check([key], from, to);
      else {
        context.addIssue({
          code: 'custom',
          path: [key],
          message: isEndpoint(key) ? 'expected fields with their new names' : 'expected the new name of a field',
        });
      }
    }
  });

const drop = z.array(z.string().min(1)).superRefine((given, context) => {
  for (const [index, name] of given.entries()) {
    if (isReserved(name)) context.addIssue({ code: 'custom', path: [index], message: reserved(name) });
  }
});

/** The keys of a model and of a stage that say how requests are changed for its server. */
export const settingsShape = {
  /** Merged into every request: where the request lacks a field (`default`), or in any case (`override`). */
  request: z.strictObject({ default: fields.default({}), override: fields.default({}) }).prefault({}),
  /** Fields that this server knows by another name, such as `max_tokens: max_completion_tokens`. */
  rename: rename.default({}),
  /** Fields that this server does not know, or that mean something else there. */
  drop: drop.default([]),
} as const;

/** How requests are changed for a model's server. */
export type RequestSettings = {
  readonly request: { readonly default: JsonObject; readonly override: JsonObject };
  readonly rename: Readonly<Record<string, string | Readonly<Record<string, string>>>>;
  readonly drop: readonly string[];
  /** What a stage says before the client's own request; null: nothing. */
  readonly system: string | null;
};

export const NO_SETTINGS: RequestSettings = {
  request: { default: {}, override: {} },
  rename: {},
  drop: [],
  system: null,
};

/** A model's settings with those of a stage over them. */
export function mergeSettings(model: Omit<RequestSettings, 'system'>, stage: RequestSettings): RequestSettings {
  return {
    request: {
      default: mergeFields(model.request.default, stage.request.default),
      override: mergeFields(model.request.override, stage.request.override),
    },
    rename: mergeNames(model.rename, stage.rename),
    drop: [...new Set([...model.drop, ...stage.drop])],
    system: stage.system,
  };
}

/** A stage's key wins over its model's, also where only the model has it for one endpoint. */
function mergeFields(model: JsonObject, stage: JsonObject): JsonObject {
  const general = generalFields(stage);
  const special = endpointsIn(model, stage).map((endpoint): [string, JsonObject] => {
    const own = ownFields(model, endpoint);
    return [endpoint, deepMerge(deepMerge(own, common(general, own)), ownFields(stage, endpoint))];
  });
  return { ...deepMerge(generalFields(model), general), ...Object.fromEntries(special) };
}

type Renames = RequestSettings['rename'];

function mergeNames(model: Renames, stage: Renames): Renames {
  const general = generalNames(stage);
  const special = endpointsIn(model, stage).map((endpoint) => {
    const own = ownNames(model, endpoint);
    return [endpoint, { ...own, ...common(general, own), ...ownNames(stage, endpoint) }] as const;
  });
  return { ...generalNames(model), ...general, ...Object.fromEntries(special) };
}

/** What a first object has under the keys of a second. */
const common = <Value>(first: Readonly<Record<string, Value>>, second: object): Record<string, Value> =>
  Object.fromEntries(Object.entries(first).filter(([key]) => Object.hasOwn(second, key)));

const endpointsIn = (...given: readonly object[]): EndpointUrl[] =>
  ENDPOINT_URLS.filter((endpoint) => given.some((one) => Object.hasOwn(one, endpoint)));

/**
 * A client's request as a model's server gets it: renamed, then without what is dropped, then with defaults where it
 * lacks a field, then with overrides; objects merge deeply. `own` names fields that this very call has set for its own
 * purpose (a question of one token, say): renames apply to them, overrides do not.
 */
export function applySettings(
  body: JsonObject,
  endpoint: EndpointUrl,
  { request, rename: renames, drop: dropped }: Omit<RequestSettings, 'system'>,
  own: readonly string[] = [],
): JsonObject {
  const isPlain = [request.default, request.override, renames, dropped].every((one) => Object.keys(one).length === 0);
  if (isPlain) return body;
  const known = namesFor(renames, endpoint);
  const asked = new Set(own.filter((name) => Object.hasOwn(body, name)).map((name) => known.get(name) ?? name));
  const kept = Object.entries(body).flatMap(([key, value]): [string, Json][] => {
    const name = known.get(key) ?? key;
    if (dropped.includes(name)) return [];
    // Of a field under both names the call's own one counts, else the one that the server knows, unless that is another.
    if (asked.has(name)) return own.includes(key) ? [[name, value]] : [];
    const isTaken = name !== key && Object.hasOwn(body, name) && !known.has(name);
    return isTaken ? [] : [[name, value]];
  });
  const overrides = { ...fieldsFor(request.override, endpoint) };
  for (const name of own) {
    delete overrides[name];
    delete overrides[known.get(name) ?? name];
  }
  return deepMerge(deepMerge(fieldsFor(request.default, endpoint), Object.fromEntries(kept)), overrides);
}

const generalFields = (given: JsonObject): JsonObject =>
  Object.fromEntries(Object.entries(given).filter(([key]) => !isEndpoint(key)));

function ownFields(given: JsonObject, endpoint: EndpointUrl): JsonObject {
  const own = given[endpoint];
  return isJsonObject(own) ? own : {};
}

const fieldsFor = (given: JsonObject, endpoint: EndpointUrl): JsonObject =>
  deepMerge(generalFields(given), ownFields(given, endpoint));

const generalNames = (renames: Renames): Record<string, string> =>
  Object.fromEntries(
    Object.entries(renames).flatMap(([key, value]): [string, string][] =>
      typeof value === 'string' ? [[key, value]] : [],
    ),
  );

function ownNames(renames: Renames, endpoint: EndpointUrl): Readonly<Record<string, string>> {
  const own = renames[endpoint];
  return typeof own === 'object' ? own : {};
}

const namesFor = (renames: Renames, endpoint: EndpointUrl): ReadonlyMap<string, string> =>
  new Map(Object.entries({ ...generalNames(renames), ...ownNames(renames, endpoint) }));

/** Two objects as one; what stands in `over` wins, and objects in both are merged in the same way. */
function deepMerge(under: JsonObject, over: JsonObject): JsonObject {
  const merged = new Map(Object.entries(under));
  for (const [key, value] of Object.entries(over)) {
    const known = merged.get(key);
    merged.set(key, isJsonObject(known) && isJsonObject(value) ? deepMerge(known, value) : value);
  }
  // Not by assignment: a client's field may be called `__proto__`.
  return Object.fromEntries(merged);
}
