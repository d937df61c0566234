import { Script } from './script.ts';
import type { RedisStore } from './store.ts';

const reserveScript = new Script('reserve_bytes');
const endScript = new Script('end_bytes');

/** Bytes that are being stored count for so long after their sender last asked; a dead process' go by themselves. */
export const BYTES_LEASE_MS = 180_000;

/** What stood in storage is read again after this. */
export const MAX_READING_MS = 60_000;

/** The bytes of a tenant's files as they stood in storage, and when, by Redis' clock, the reading began. */
export type BytesReading = { readonly bytes: number; readonly atMs: number };

/** Notes how many bytes of a file are being stored, unless that is more than a tenant may have. */
export async function reserveBytes(
  { client, keys }: RedisStore,
  tenant: string,
  file: { readonly id: string; readonly bytes: number; readonly most: number; readonly stood: BytesReading },
): Promise<'RESERVED' | 'REFUSED' | 'STALE'> {
  const { id, bytes, most, stood } = file;
  const args = [id, bytes, most, stood.bytes, stood.atMs, BYTES_LEASE_MS, MAX_READING_MS];
  return (await reserveScript.run(client, [keys.storing(tenant)], args)) as 'RESERVED' | 'REFUSED' | 'STALE';
}

/** Says that a file stands in storage, or is not to be. */
export async function endBytes(
  { client, keys }: RedisStore,
  tenant: string,
  file: { readonly id: string; readonly stands: boolean },
): Promise<void> {
  await endScript.run(client, [keys.storing(tenant)], [file.id, file.stands ? '1' : '']);
}
