import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

type Dependency = { readonly condition: string; readonly required?: boolean };

/** A service of docker-compose.yml, as far as the tests look at it. */
export type ComposeService = {
  readonly image: string;
  readonly build?: { readonly target: string };
  readonly command?: readonly string[];
  readonly entrypoint?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly volumes?: readonly string[];
  readonly ports?: readonly string[];
  readonly profiles?: readonly string[];
  readonly depends_on?: Readonly<Record<string, Dependency>>;
  readonly healthcheck?: { readonly test?: readonly string[]; readonly disable?: boolean };
  readonly stop_grace_period?: string;
  readonly [key: string]: unknown;
};

export type Compose = {
  readonly services: Readonly<Record<string, ComposeService>>;
  readonly volumes: Readonly<Record<string, unknown>>;
  readonly [key: string]: unknown;
};

/** The target of the Dockerfile that a service runs; null: it runs somebody else's image. */
export function targetOf({ image }: ComposeService): 'service' | 'playground' | null {
  if (image.startsWith('spillway-playground:')) return 'playground';
  return image.startsWith('spillway:') ? 'service' : null;
}

/** docker-compose.yml with its merges done and its variables put in. */
export async function readCompose(env: Readonly<Record<string, string>> = {}): Promise<Compose> {
  const text = await readFile(join(ROOT, 'docker-compose.yml'), 'utf8');
  return interpolate(parse(text, { merge: true }), env) as Compose;
}

/** `${NAME}`, `${NAME-default}` and `${NAME:-default}`, as Compose has them, in every text. */
function interpolate(value: unknown, env: Readonly<Record<string, string>>): unknown {
  if (typeof value === 'string') {
    return value.replaceAll(/\$\{(\w+)(?:(:?-)([^}]*))?\}/g, (_, name: string, operator = '', fallback = '') => {
      const given = env[name];
      return given === undefined || (operator === ':-' && given === '') ? String(fallback) : given;
    });
  }
  if (Array.isArray(value)) return value.map((item) => interpolate(item, env));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, interpolate(item, env)]));
}
