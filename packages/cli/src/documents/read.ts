import { Unreadable } from './decode.ts';
import { readDocument } from './file.ts';
import type { Found } from './found.ts';
import { readJsonLines } from './json-lines.ts';
import { hasRows, type Source } from './source.ts';
import { readTable } from './table.ts';

/** The documents of a source; of one that cannot be read, those before that, and the reason. */
export async function* readSource(source: Source): AsyncGenerator<Found> {
  try {
    if (hasRows(source.kind)) yield* await rowsOf(source);
    else yield await readDocument(source);
  } catch (error) {
    const reason = reasonOf(error);
    if (reason === null) throw error;
    yield { kind: 'unreadable', id: source.name, reason };
  }
}

async function rowsOf(source: Source): Promise<AsyncGenerator<Found>> {
  if (source.kind === 'jsonl') return readJsonLines(source);
  if (source.kind !== 'parquet') return readTable(source);
  // Few need it, and it takes a while to load.
  const { readParquet } = await import('./parquet.ts');
  return readParquet(source);
}

function reasonOf(error: unknown): string | null {
  if (error instanceof Unreadable) return error.message;
  const { code } = error as NodeJS.ErrnoException;
  return typeof code === 'string' ? `cannot be read (${code})` : null;
}
