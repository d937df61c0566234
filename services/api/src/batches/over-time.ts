import { readNotes, type Manifest, type ProgressNote } from '@spillway/core';
import { readLive } from './live.ts';
import type { BatchSources } from './show.ts';

/** How far a batch was at some moments of its time, oldest first; none where nobody knows. Times in Unix seconds. */
export async function readOverTime(sources: BatchSources, { id }: Manifest) {
  return (await notesOf(sources, id)).map(({ atMs, settled, stages }) => ({ at: atMs / 1000, settled, stages }));
}

async function notesOf(sources: BatchSources, id: string): Promise<readonly ProgressNote[]> {
  const final = await sources.records.final(id);
  if (final !== null) return readNotes(final.notes);
  const live = await readLive(sources, id);
  return live.kind === 'live' ? live.state.notes : [];
}
