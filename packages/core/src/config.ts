import { LineCounter, parseDocument } from 'yaml';
import { z } from 'zod';
import { price } from './accounting/price.ts';
import { ASK_KINDS, DEFAULT_ASK, type AskKind } from './cascade/ask.ts';
import { PRIORITY_ORDERS } from './cascade/priority.ts';
import { settingsShape, type RequestSettings } from './cascade/settings.ts';
import { SIGNALS, signalSpec, type SignalSpec } from './confidence/index.ts';
import { LIMITS } from './limits.ts';
import { isJsonObject } from './text/json.ts';
import { WEBHOOK_EVENTS } from './batch/webhook.ts';

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

/** How drafts are judged: a signal, its parameters, and a file that `npm run calibrate` wrote. */
type ConfidenceSpec = { readonly signal: SignalSpec; readonly calibration: string | null };

const confidence = z
  .record(z.string(), z.unknown())
  .transform(({ signal = 'sum_logprob', calibration = null, ...parameters }, context): ConfidenceSpec => {
    const problem = (path: PropertyKey[], message: string): never => {
      context.addIssue({ code: 'custom', path, message });
      return z.NEVER;
    };
    if (typeof signal !== 'string' || !Object.hasOwn(SIGNALS, signal)) {
      return problem(['signal'], `expected one of ${Object.keys(SIGNALS).join(', ')}`);
    }
    const read = signalSpec.safeParse({ ...parameters, name: signal });
    if (!read.success) {
      for (const issue of read.error.issues) problem(issue.path, `${messageOf(issue)} (of the signal ${signal})`);
      return z.NEVER;
    }
    if (calibration !== null && typeof calibration !== 'string') {
      return problem(['calibration'], 'expected the path of a file that `npm run calibrate` wrote');
    }
    if (calibration === null && SIGNALS[read.data.name].probability === null) {
      return problem(['calibration'], `expected a file: the signal ${signal} says nothing without a calibration`);
    }
    return { signal: read.data, calibration };
  });

const acceptAt = z.number().min(0).max(1);
const onDeadline = z.enum(['error', 'draft']).default('error');
const annotate = z.boolean().default(true);

const stage = z.strictObject({
  model: z.string(),
  ask: z.enum(ASK_KINDS).default(DEFAULT_ASK),
  confidence: confidence.optional(),
  accept_at: acceptAt.optional(),
  ...settingsShape,
  system: z.string().min(1).optional(),
});

const longForm = z.strictObject({
  stages: z
    .array(stage)
    .min(2, 'expected at least two stages: a drafter and an expert')
    .max(LIMITS.cascadeStages, `expected at most ${LIMITS.cascadeStages} stages`),
  on_deadline: onDeadline,
  annotate,
});

const shortForm = z.strictObject({
  drafter: z.string(),
  expert: z.string(),
  confidence: confidence.prefault({}),
  accept_at: acceptAt,
  on_deadline: onDeadline,
  annotate,
});

/** One step of a cascade. */
export type StageSpec = Omit<RequestSettings, 'system'> & {
  readonly model: string;
  readonly ask: AskKind;
  /** Null for the last stage, whose answer is final. */
  readonly judge: { readonly confidence: ConfidenceSpec; readonly acceptAt: number } | null;
  readonly system: string | null;
};

/** An ordered list of stages; every model stands in it once. */
export type CascadeSpec = {
  /** How it is written: as a list, or by its `drafter` and its `expert`. */
  readonly form: 'long' | 'short';
  readonly stages: readonly StageSpec[];
  readonly on_deadline: 'error' | 'draft';
  readonly annotate: boolean;
};

const LAST_IS_FINAL = 'no such key in the last stage, whose answer is final';
const MUST_JUDGE = 'expected a number from 0 to 1: all stages but the last judge';

type StageProblem = { readonly path: readonly (string | number)[]; readonly message: string };

/** What stages have too much or lack by their place in the list, whatever else is wrong with them. */
function placeProblems(stages: unknown): StageProblem[] {
  if (!Array.isArray(stages) || stages.length < 2) return [];
  return stages.flatMap((one: unknown, index): StageProblem[] => {
    if (!isJsonObject(one)) return [];
    const at = (key: string, message: string): StageProblem => ({ path: ['stages', index, key], message });
    if (index < stages.length - 1) return one['accept_at'] === undefined ? [at('accept_at', MUST_JUDGE)] : [];
    return ['confidence', 'accept_at'].flatMap((key) => (Object.hasOwn(one, key) ? [at(key, LAST_IS_FINAL)] : []));
  });
}

/** Either form of a cascade; what is said of a mistake is said of the form that was written. */
const cascade = z.record(z.string(), z.unknown()).transform((given, context): CascadeSpec => {
  const misplaced = placeProblems(given['stages']);
  for (const { path, message } of misplaced) context.addIssue({ code: 'custom', path: [...path], message });
  const read = 'stages' in given ? longForm.safeParse(given) : shortForm.safeParse(given);
  if (!read.success) {
    for (const issue of read.error.issues) {
      context.addIssue({ code: 'custom', path: issue.path, message: messageOf(issue) });
    }
    return z.NEVER;
  }
  if (misplaced.length > 0) return z.NEVER;
  const { data } = read;
  const { on_deadline, annotate: isAnnotated } = data;
  if (!('stages' in data)) {
    const plain = {
      ask: DEFAULT_ASK,
      request: { default: {}, override: {} },
      rename: {},
      drop: [],
      system: null,
    } as const;
    const judge = { confidence: data.confidence, acceptAt: data.accept_at };
    const stages = [
      { ...plain, model: data.drafter, judge },
      { ...plain, model: data.expert, judge: null },
    ];
    return { form: 'short', stages, on_deadline, annotate: isAnnotated };
  }
  const stages = data.stages.map(({ confidence: rule, accept_at: acceptFrom, system = null, ...kept }): StageSpec => {
    const judge = acceptFrom === undefined ? null : { confidence: rule ?? confidence.parse({}), acceptAt: acceptFrom };
    return { ...kept, system, judge };
  });
  return { form: 'long', stages, on_deadline, annotate: isAnnotated };
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
    .record(z.string().regex(NAME, nameMessage), cascade)
    .refine((all) => Object.keys(all).length > 0, 'expected at least one cascade'),
  webhooks: z.record(z.string().regex(NAME, nameMessage), webhook).default({}),
});

export type ModelSpec = z.output<typeof model>;
export type Configuration = z.output<typeof file>;
export type OnDeadline = CascadeSpec['on_deadline'];

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
  return { path: issue.path.map(String).join('.') || '(top level)', expected: messageOf(issue) };
}

function messageOf(issue: z.core.$ZodIssue): string {
  if (issue.code === 'unrecognized_keys') {
    return `no key ${issue.keys.map((key) => `"${key}"`).join(', ')} (not known here)`;
  }
  if (issue.code === 'invalid_key') return issue.issues.map((inner) => inner.message).join('; ');
  return issue.message.replace(/^Invalid input: /, '');
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
