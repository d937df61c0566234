import { readFileSync } from 'node:fs';
import { readConfiguration, type Configuration, type ModelSpec } from '@spillway/core';
import type { EnvReader } from './env.ts';

/** Reads the YAML file that `SPILLWAY_CONFIG` names; every problem goes to the reader, with the file and the path. */
export function loadConfiguration(reader: EnvReader): Configuration | null {
  const path = reader.text('SPILLWAY_CONFIG');
  if (path === null) {
    reader.problem('SPILLWAY_CONFIG: expected the path of a spillway.yaml with models and cascades');
    return null;
  }
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    reader.problem(`SPILLWAY_CONFIG: cannot read ${path} (${(error as NodeJS.ErrnoException).code})`);
    return null;
  }
  const read = readConfiguration(text);
  if (read.kind === 'valid') return read.configuration;
  for (const problem of read.problems) reader.problem(`${path}: ${problem.path}: ${problem.expected}`);
  return null;
}

/** A model that a worker serves, with its key. */
export type ServedModel = { readonly name: string; readonly spec: ModelSpec; readonly apiKey: string | null };

/** What stands for a configuration that could not be read, while all other problems are collected. */
export const NO_CONFIGURATION: Configuration = { models: {}, cascades: {}, webhooks: {} };

/** One attempt in a hundred: 200,000 documents leave some thousand lines, and every failure one of its own. */
const LOGGED_SHARE = 0.01;

/** How long what is in flight may still take when the process is told to stop. */
export function drainMs(reader: EnvReader): number {
  return reader.integer('SPILLWAY_DRAIN_MS', { fallback: 25_000, min: 0, max: 3_600_000 });
}

/** The share of attempts that are logged, besides those that failed. */
export function loggedShare(reader: EnvReader): number {
  const text = reader.text('SPILLWAY_LOG_ATTEMPT_SHARE');
  if (text === null) return LOGGED_SHARE;
  const share = Number(text);
  if (share >= 0 && share <= 1) return share;
  reader.problem(`SPILLWAY_LOG_ATTEMPT_SHARE: expected a number from 0 to 1, got "${text}"`);
  return LOGGED_SHARE;
}

/** The key of a model, from the variable that the configuration names; null: it needs none. */
export function apiKeyOf(reader: EnvReader, name: string, spec: ModelSpec): string | null {
  if (spec.api_key_env === undefined) return null;
  const key = headerText(reader, spec.api_key_env);
  if (key === null) {
    reader.problem(`${spec.api_key_env}: expected the API key of the model ${name} (models.${name}.api_key_env)`);
  }
  return key;
}

/** A variable that goes into a header, which takes no line breaks and nothing beyond Latin-1; it is never shown. */
export function headerText(reader: EnvReader, variable: string): string | null {
  const text = reader.text(variable);
  if (text !== null && !/^[\t\x20-\x7e\xa0-\xff]*$/.test(text))
    reader.problem(`${variable}: expected no line break and no character that an HTTP header cannot hold`);
  return text;
}
