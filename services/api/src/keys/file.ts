import { createHash, timingSafeEqual } from 'node:crypto';

/** Both roles use the API for their own tenant; `admin` also sees what shows more than one tenant. */
export const ROLES = ['tenant', 'admin'] as const;
export type Role = (typeof ROLES)[number];

/** What a tenant may have at a time, as the holder of a key; what is not here has no limit. */
export const KEY_LIMITS = ['open_batches', 'queued_documents', 'stored_bytes'] as const;
export type KeyLimits = { readonly [Name in (typeof KEY_LIMITS)[number]]?: number };

/** One line of the key file: whose key it is, and the SHA-256 of the key in hex. */
export type KeyEntry = {
  readonly tenant: string;
  readonly role: Role;
  readonly sha256: string;
  readonly limits?: KeyLimits;
};

/** A tenant's name is a segment of storage keys, which do not begin with a dot. */
export const TENANT_NAME = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$/;

export const TENANT_NAME_FORM = '1 to 64 letters, digits, ".", "_" and "-", not beginning with "."';

/** Reads a key file; each broken line is one problem that names it. */
export function parseKeys(text: string): {
  readonly entries: readonly KeyEntry[];
  readonly problems: readonly string[];
} {
  const entries: KeyEntry[] = [];
  const problems: string[] = [];
  const lineOf = new Map<string, number>();
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    const read = parseLine(line);
    const number = index + 1;
    if (typeof read === 'string') problems.push(`line ${number}: ${read}`);
    else if (lineOf.has(read.sha256))
      problems.push(`line ${number}: the same key as in line ${lineOf.get(read.sha256)}`);
    else {
      entries.push(read);
      lineOf.set(read.sha256, number);
    }
  }
  return { entries, problems };
}

function parseLine(line: string): KeyEntry | string {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    value = null;
  }
  if (typeof value !== 'object' || value === null) return 'expected a JSON object';
  const { tenant, role, sha256, limits } = value as Record<string, unknown>;
  if (typeof tenant !== 'string' || !TENANT_NAME.test(tenant)) return `tenant: expected ${TENANT_NAME_FORM}`;
  if (role !== 'tenant' && role !== 'admin') return `role: expected ${ROLES.map((name) => `"${name}"`).join(' or ')}`;
  if (typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/.test(sha256)) return 'sha256: expected 64 lowercase hex digits';
  if (limits === undefined) return { tenant, role, sha256 };
  const problem = limitsProblem(limits);
  return problem ?? { tenant, role, sha256, limits: limits as KeyLimits };
}

function limitsProblem(limits: unknown): string | null {
  const names = KEY_LIMITS.join(', ');
  if (typeof limits !== 'object' || limits === null || Array.isArray(limits)) return `limits: expected ${names}`;
  for (const [name, most] of Object.entries(limits)) {
    if (!(KEY_LIMITS as readonly string[]).includes(name)) return `limits.${name}: expected one of ${names}`;
    if (!Number.isSafeInteger(most) || Number(most) < 0) return `limits.${name}: expected a whole number from 0`;
  }
  return null;
}

/** A key file's text. */
export function formatKeys(entries: readonly KeyEntry[]): string {
  return entries.map((entry) => `${JSON.stringify(entry)}\n`).join('');
}

/** A new key from 32 random bytes. */
export function keyOf(random: Uint8Array): string {
  return `sk-spillway-${Buffer.from(random).toString('base64url')}`;
}

export function hashKey(key: string): string {
  return createHash('sha256').update(key).digest('hex');
}

/** Whose key this is. Every entry is compared, each in constant time, so that the time gives nothing away. */
export function findKey(entries: readonly KeyEntry[], key: string): KeyEntry | null {
  const given = Buffer.from(hashKey(key), 'hex');
  let found: KeyEntry | null = null;
  for (const entry of entries) {
    if (timingSafeEqual(given, Buffer.from(entry.sha256, 'hex'))) found = entry;
  }
  return found;
}
