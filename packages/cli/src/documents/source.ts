import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { basename, extname, join, relative, resolve } from 'node:path';
import { UserError } from '../client.ts';
import { EXIT } from '../exit-codes.ts';

/** How what is in a file becomes documents: whole files, or their rows. */
export const KINDS = ['text', 'html', 'pdf', 'csv', 'tsv', 'jsonl', 'parquet'] as const;
export type Kind = (typeof KINDS)[number];

/** Where documents come from. */
export type Source = {
  /** As it stands in ids and messages. */
  readonly name: string;
  /** Null: standard input. */
  readonly path: string | null;
  readonly kind: Kind;
};

const ENDINGS: Readonly<Record<string, Kind>> = {
  '.htm': 'html',
  '.html': 'html',
  '.xhtml': 'html',
  '.pdf': 'pdf',
  '.csv': 'csv',
  '.tsv': 'tsv',
  '.jsonl': 'jsonl',
  '.ndjson': 'jsonl',
  '.parquet': 'parquet',
};

/** What ends in another way is taken for text, until it is read and is none. */
const kindOf = (path: string): Kind => ENDINGS[extname(path).toLowerCase()] ?? 'text';

/** Whether a kind holds a document in each of its rows. */
export const hasRows = (kind: Kind): boolean => ['csv', 'tsv', 'jsonl', 'parquet'].includes(kind);

export type Wanted = {
  readonly paths: readonly string[];
  /** What a file or standard input is, whatever it is called; null: as its name says. */
  readonly kind: Kind | null;
  /** Files and folders that are ours and no documents: what is written to. */
  readonly except: readonly string[];
};

/** The files that are meant, those of a folder in the order of their names, none twice. */
export async function* sourcesOf({ paths, kind, except }: Wanted): AsyncGenerator<Source> {
  const isOurs = new Set(except.map((path) => resolve(path)));
  const seen = new Set<string>();
  for (const path of paths) {
    if (path === '-') {
      yield { name: 'stdin', path: null, kind: kind ?? 'jsonl' };
      continue;
    }
    for await (const found of filesOf(path, isOurs)) {
      const whole = resolve(found);
      if (seen.has(whole)) continue;
      seen.add(whole);
      const isBelow = paths.length === 1 && found !== path;
      const name = isBelow ? relative(path, found) : found;
      yield { name: name.replaceAll('\\', '/'), path: found, kind: kind ?? kindOf(found) };
    }
  }
}

async function* filesOf(path: string, isOurs: ReadonlySet<string>): AsyncGenerator<string> {
  const found = await stat(path).catch((error: unknown) => Promise.reject(unreadable(path, error)));
  if (!found.isDirectory()) {
    if (isOurs.has(resolve(path)))
      throw new UserError(`${path} is both read and written to: choose another --out`, { exitCode: EXIT.usage });
    return yield path;
  }
  yield* below(path, isOurs);
}

async function* below(folder: string, isOurs: ReadonlySet<string>): AsyncGenerator<string> {
  const listed = readdir(folder, { withFileTypes: true });
  const entries = await listed.catch((error: unknown) => Promise.reject(unreadable(folder, error)));
  for (const entry of entries.toSorted((one, other) => (one.name < other.name ? -1 : 1))) {
    const path = join(folder, entry.name);
    if (isHidden(entry.name) || isOurs.has(resolve(path))) continue;
    if (entry.isDirectory()) yield* below(path, isOurs);
    else if (await isFile(entry, path)) yield path;
  }
}

function unreadable(path: string, error: unknown): UserError {
  const { code } = error as NodeJS.ErrnoException;
  const message = code === 'ENOENT' ? `there is no ${path}` : `${path} cannot be read (${code})`;
  return new UserError(message, { exitCode: EXIT.usage, cause: error });
}

/** Such as `.git` and `.DS_Store`. */
const isHidden = (name: string): boolean => basename(name).startsWith('.');

/** A link to a file is one; a link to a folder may lead back to where it stands. */
async function isFile(entry: Dirent, path: string): Promise<boolean> {
  if (entry.isFile()) return true;
  return entry.isSymbolicLink() && ((await stat(path).catch(() => null))?.isFile() ?? false);
}
