import { writeNotes, type ProgressNote } from '@spillway/core';
import { Script } from './script.ts';
import type { RedisStore } from './store.ts';

const script = new Script('keep_notes');

/** The field of a batch's hash that says how far it was before: read with the batch, gone with it. */
export const NOTES = 'notes';

/** Keeps how far an open batch was, in place of what was kept of that before. */
export async function keepNotes(
  { client, keys }: RedisStore,
  batch: string,
  notes: readonly ProgressNote[],
): Promise<'KEPT' | 'CLOSED' | 'RECOVERING'> {
  const answer = await script.run(client, [keys.epoch, keys.batch(batch)], [NOTES, writeNotes(notes)]);
  return answer as 'KEPT' | 'CLOSED' | 'RECOVERING';
}
