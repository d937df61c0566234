import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { UserError, type Address } from './client.ts';

export type Env = Readonly<Record<string, string | undefined>>;

const NEXT_DOOR = 'http://127.0.0.1:8080';

const file = z.strictObject({ url: z.string().optional(), api_key: z.string().optional() });

/** The file of settings: not one of the current folder, which may be somebody else's and name an address of his. */
const settingsFile = (env: Env): string =>
  join(env['XDG_CONFIG_HOME'] || join(homedir(), '.config'), 'spillway', 'config.json');

/** Where runs are that have not ended. */
export const runsFolder = (env: Env): string =>
  join(env['XDG_STATE_HOME'] || join(homedir(), '.local', 'state'), 'spillway', 'runs');

/** The environment's address and key, else the file's. The file's key goes to the file's address only. */
export function readAddress(env: Env): Address {
  const [url, key] = [env['SPILLWAY_URL'] || null, env['SPILLWAY_API_KEY'] || null];
  if (url !== null && key !== null) return { url: withoutVersion(url), key };
  const settings = readSettings(settingsFile(env));
  const fileUrl = withoutVersion(settings.url ?? NEXT_DOOR);
  const ownUrl = url === null ? fileUrl : withoutVersion(url);
  return { url: ownUrl, key: key ?? (ownUrl === fileUrl ? (settings.api_key ?? null) : null) };
}

function withoutVersion(url: string): string {
  if (!URL.canParse(url) || !url.startsWith('http'))
    throw new UserError(`expected the API's address as http://host:port, got "${url}": see SPILLWAY_URL`);
  return url.replace(/\/(v1\/?)?$/, '');
}

function readSettings(path: string): z.output<typeof file> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return {};
    throw new UserError(`${path} cannot be read (${code})`, { cause: error });
  }
  try {
    return file.parse(JSON.parse(text));
  } catch (error) {
    throw new UserError(`${path}: expected {"url": "http://…", "api_key": "…"}, both may be left out`, {
      cause: error,
    });
  }
}
