import { z } from 'zod';
import type { Storage } from './storage.ts';

/** Reads a JSON record; null when there is none. A record that is not what it should be is an error: storage is the truth. */
export async function readRecord<Schema extends z.ZodType>(
  storage: Storage,
  key: string,
  schema: Schema,
): Promise<z.output<Schema> | null> {
  const bytes = await storage.read(key);
  if (bytes === null) return null;
  try {
    return schema.parse(JSON.parse(Buffer.from(bytes).toString('utf8')));
  } catch (error) {
    throw new Error(`The record ${key} in storage is damaged, or of a newer Spillway`, { cause: error });
  }
}

/** Writes a record that nobody wrote before, or adopts the one that stands. */
export async function createRecord<Schema extends z.ZodType>(
  storage: Storage,
  key: string,
  schema: Schema,
  value: z.output<Schema>,
): Promise<{ readonly kind: 'created' | 'exists'; readonly record: z.output<Schema> }> {
  const written = z.encode(schema, value);
  const kind = await storage.create(key, Buffer.from(JSON.stringify(written)));
  if (kind === 'created') return { kind, record: schema.parse(written) };
  const record = await readRecord(storage, key, schema);
  if (record === null) throw new Error(`The record ${key} exists and cannot be read`);
  return { kind, record };
}
