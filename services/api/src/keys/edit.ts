import { SetupError } from '@spillway/runtime';
import {
  formatKeys,
  KEY_LIMITS,
  parseKeys,
  ROLES,
  TENANT_NAME,
  TENANT_NAME_FORM,
  type KeyEntry,
  type KeyLimits,
  type Role,
} from './file.ts';

/** Digits of a key's hash that `list` shows and `remove` takes: enough to distinguish keys. */
const SHOWN_DIGITS = 12;

export type Change = { readonly text: string; readonly keys: readonly KeyEntry[] };

export type KeyOrder = {
  readonly tenant: string | undefined;
  readonly role: string;
  readonly sha256: string;
  /** As they were typed. */
  readonly limits?: Readonly<Partial<Record<keyof KeyLimits, string | undefined>>>;
};

/** The file with one more key. */
export function addKey(text: string, options: KeyOrder): Change {
  const { tenant, role, sha256, limits = {} } = options;
  if (tenant === undefined || !TENANT_NAME.test(tenant)) {
    throw new SetupError(`--tenant: expected ${TENANT_NAME_FORM}`);
  }
  if (!(ROLES as readonly string[]).includes(role)) throw new SetupError(`--role: expected one of ${ROLES.join(', ')}`);
  const given = KEY_LIMITS.flatMap((name) => {
    const most = limits[name];
    if (most === undefined) return [];
    if (!/^\d{1,15}$/.test(most)) throw new SetupError(`--${name.replace('_', '-')}: expected a whole number from 0`);
    return [[name, Number(most)] as const];
  });
  const own = given.length === 0 ? {} : { limits: Object.fromEntries(given) };
  const added: KeyEntry = { tenant, role: role as Role, sha256, ...own };
  return { text: formatKeys([...sound(text), added]), keys: [added] };
}

/** The file without all keys of a tenant, or without the key whose hash begins so. */
export function removeKeys(text: string, options: { tenant: string | undefined; hash: string | undefined }): Change {
  const { tenant, hash } = options;
  if ((tenant === undefined) === (hash === undefined)) {
    throw new SetupError('expected either --tenant NAME (all its keys) or --hash PREFIX (one key, as `list` shows it)');
  }
  if (hash !== undefined && hash.length < SHOWN_DIGITS) {
    throw new SetupError(`--hash: expected at least the ${SHOWN_DIGITS} digits that \`list\` shows`);
  }
  const isMeant = (entry: KeyEntry): boolean =>
    hash === undefined ? entry.tenant === tenant : entry.sha256.startsWith(hash);
  const entries = sound(text);
  const keys = entries.filter(isMeant);
  if (keys.length === 0) throw new SetupError('no such key: `list` shows those there are');
  return { text: formatKeys(entries.filter((entry) => !isMeant(entry))), keys };
}

/** The keys, one a line, without anything by which somebody could use them. */
export function listKeys(text: string): string {
  return sound(text).map(describeKey).join('');
}

export function describeKey({ tenant, role, sha256, limits = {} }: KeyEntry): string {
  const own = Object.entries(limits).map(([name, most]) => `  ${name} ${most}`);
  return `${sha256.slice(0, SHOWN_DIGITS)}  ${role.padEnd(6)}  ${tenant}${own.join('')}\n`;
}

function sound(text: string): readonly KeyEntry[] {
  const { entries, problems } = parseKeys(text);
  if (problems.length > 0) throw new SetupError(`the key file is broken, mend it first:\n  ${problems.join('\n  ')}`);
  return entries;
}
