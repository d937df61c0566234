import type { Storage } from './storage.ts';

/** Uploads bytes that others may upload under the same key, at the same time or before: they are the same ones. */
export async function uploadOnce(storage: Storage, key: string, source: AsyncIterable<Uint8Array>): Promise<number> {
  const standing = await storage.size(key);
  if (standing !== null) return standing;
  try {
    return await storage.upload(key, source);
  } catch (error) {
    const others = await storage.size(key);
    if (others === null) throw error;
    return others;
  }
}
