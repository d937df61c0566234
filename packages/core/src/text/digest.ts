import { createHash } from 'node:crypto';

/** The first 32 hex digits of SHA-256 over the parts, separated so that no two lists of parts collide. */
export function digest(...parts: readonly string[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(`${Buffer.byteLength(part)}:`).update(part);
  return hash.digest('hex').slice(0, 32);
}
