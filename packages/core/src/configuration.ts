import { LineCounter, parseDocument } from 'yaml';
import { z } from 'zod';
import { SIGNALS, signalSpec, type SignalSpec } from './confidence/index.ts';
import { WEBHOOK_EVENTS } from './webhook.ts';

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
const nameMessage = 'expected a name of letters, digits, ".", "_" and "-", at most 63';

const price = z.strictObject({ input: z.number().min(0), output: z.number().min(0) });

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
  max_tries: z.int().min(1).max(20).default(4),
  /** What a drafter is known not to take goes straight to the expert. */
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
  .default({})
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

const cascade = z.strictObject({
  drafter: z.string(),
  expert: z.string(),
  confidence,
  accept_at: z.number().min(0).max(1),
  on_deadline: z.enum(['error', 'draft']).default('error'),
  annotate: z.boolean().default(true),
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
export type CascadeSpec = z.output<typeof cascade>;
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
  const parsed = file.safeParse(document.toJS());
  if (!parsed.success) return { kind: 'invalid', problems: parsed.error.issues.map(problemOf) };
  const problems = danglingNames(parsed.data);
  return problems.length > 0 ? { kind: 'invalid', problems } : { kind: 'valid', configuration: parsed.data };
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

function danglingNames(configuration: Configuration): Problem[] {
  const known = Object.keys(configuration.models);
  return Object.entries(configuration.cascades).flatMap(([name, spec]) =>
    (['drafter', 'expert'] as const)
      .filter((role) => !known.includes(spec[role]))
      .map((role) => ({
        path: `cascades.${name}.${role}`,
        expected: `expected one of models (${known.join(', ') || 'none is declared'}), got "${spec[role]}"`,
      })),
  );
}
