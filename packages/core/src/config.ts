import { LineCounter, parseDocument } from 'yaml';
import { z } from 'zod';
import { price } from './accounting/price.ts';
import { WEBHOOK_EVENTS } from './batch/webhook.ts';
import { PRIORITY_ORDERS } from './cascade/priority.ts';
import { settingsShape } from './cascade/settings.ts';
import { cascadeSpec } from './cascade/spec.ts';
import { issueMessage } from './text/issue-message.ts';
import { isJsonObject } from './text/json.ts';

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
const nameMessage = 'expected a name of letters, digits, ".", "_" and "-", at most 63';

const environmentName = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'expected the name of an environment variable');

const model = z.strictObject({
  base_url: z.url({
    protocol: /^https?$/,
    error: 'expected an http:// or https:// address, e.g. http://127.0.0.1:8000/v1',
  }),
  model: z.string().min(1),
  api_key_env: environmentName.optional(),
  price: price.optional(),
  concurrency: z.int().min(1).max(1024).default(16),
  /** Each worker has a model server of its own beside it, which nobody else reaches. */
  sidecar: z.boolean().default(false),
  timeout_s: z.number().positive().max(86_400).default(300),
  max_attempts: z.int().min(1).max(20).default(4),
  /** Requests say in `priority` how long they can wait, for a server that begins low or high values first. */
  send_priority: z.enum(PRIORITY_ORDERS).optional(),
  ...settingsShape,
  /** What a drafter is known not to take goes straight to the next stage. */
  context_tokens: z.int().min(1).optional(),
  images: z.boolean().default(true),
  tools: z.boolean().default(true),
  /** What an autoscaler is told: the wished time to work off what waits, what a replica needs to start, the most. */
  scaling: z
    .strictObject({
      drain_s: z.number().positive().max(86_400).default(300),
      cold_start_s: z.number().min(0).max(86_400).default(0),
      max_replicas: z.int().min(1).max(10_000).default(20),
    })
    .prefault({}),
});

const webhook = z.strictObject({
  url: z.url({ protocol: /^https?$/, error: 'expected an http:// or https:// address' }),
  secret_env: environmentName,
  events: z
    .array(z.enum(WEBHOOK_EVENTS))
    .min(1)
    .default([...WEBHOOK_EVENTS]),
  tenants: z.array(z.string()).min(1).optional(),
});

const file = z.strictObject({
  models: z.record(z.string().regex(NAME, nameMessage), model),
  cascades: z
    .record(z.string().regex(NAME, nameMessage), cascadeSpec)
    .refine((all) => Object.keys(all).length > 0, 'expected at least one cascade'),
  webhooks: z.record(z.string().regex(NAME, nameMessage), webhook).default({}),
});

export type ModelSpec = z.output<typeof model>;
export type Configuration = z.output<typeof file>;

/** What is wrong with a configuration, and where. */
export type Problem = { readonly path: string; readonly expected: string };

export type ReadConfiguration =
  | { readonly kind: 'valid'; readonly configuration: Configuration }
  | { readonly kind: 'invalid'; readonly problems: readonly Problem[] };

/** Reads the text of a `spillway.yaml`; all its problems are told at once. */
export function readConfiguration(text: string): ReadConfiguration {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  if (document.errors.length > 0) {
    const problems = document.errors.map((error) => {
      const { line, col } = lines.linePos(error.pos[0]);
      return { path: `line ${line}, column ${col}`, expected: `valid YAML: ${error.message}` };
    });
    return { kind: 'invalid', problems };
  }
  let written: unknown;
  try {
    written = document.toJS();
  } catch (error) {
    // An alias of nothing, or aliases that grow without end.
    return {
      kind: 'invalid',
      problems: [{ path: '(top level)', expected: `valid YAML: ${(error as Error).message}` }],
    };
  }
  const parsed = file.safeParse(written);
  const problems = [...(parsed.error?.issues.map(problemOf) ?? []), ...wrongModels(written)];
  return parsed.success && problems.length === 0
    ? { kind: 'valid', configuration: parsed.data }
    : { kind: 'invalid', problems };
}

function problemOf(issue: z.core.$ZodIssue): Problem {
  return { path: issue.path.map(String).join('.') || '(top level)', expected: issueMessage(issue) };
}

/** Stages whose model is not declared, or stands in the cascade twice; they are found whatever else is wrong. */
function wrongModels(written: unknown): Problem[] {
  const { models, cascades } = isJsonObject(written) ? written : {};
  const known = Object.keys(isJsonObject(models) ? models : {});
  return Object.entries(isJsonObject(cascades) ? cascades : {}).flatMap(([name, one]) => {
    const named = namedModels(one);
    return named.flatMap(({ place, model: own }, index): Problem[] => {
      const path = `cascades.${name}.${place}`;
      if (!known.includes(own)) {
        return [{ path, expected: `expected one of models (${known.join(', ') || 'none is declared'}), got "${own}"` }];
      }
      const isSecond = named.slice(0, index).some((before) => before.model === own);
      return isSecond ? [{ path, expected: `expected another model: "${own}" is in this cascade already` }] : [];
    });
  });
}

type NamedPlace = { readonly place: string; readonly model: string };

/** The models that a cascade of either form names, each with its place. */
function namedModels(written: unknown): NamedPlace[] {
  if (!isJsonObject(written)) return [];
  const { stages, drafter, expert } = written;
  const listed = Array.isArray(stages) ? (stages as readonly unknown[]) : [];
  const places = Object.hasOwn(written, 'stages')
    ? listed.map((one, index) => ({ place: `stages.${index}.model`, model: isJsonObject(one) ? one['model'] : null }))
    : [
        { place: 'drafter', model: drafter },
        { place: 'expert', model: expert },
      ];
  return places.filter((one): one is NamedPlace => typeof one.model === 'string');
}
