import { counted } from '@spillway/core/amounts';
import { isHidden, nameOf, readFile, Unreadable, type Read } from './documents.ts';

/** What somebody chose, read. */
export type ChosenFiles = {
  readonly documents: readonly Read[];
  /** What of it cannot be read. */
  readonly problems: readonly string[];
  /** Files that can. */
  readonly readable: number;
  /** What a batch of them is called where nobody says otherwise. */
  readonly name: string;
};

/**
 * Reads the files that somebody chose, in the order of their names, as `spillway run` has them: a browser lists them as
 * its disk does.
 */
export async function readFiles(files: readonly File[]): Promise<ChosenFiles> {
  const chosen = files
    .filter((file) => !isHidden(file))
    .toSorted((left, right) => (nameOf(left) < nameOf(right) ? -1 : 1));
  const documents: Read[] = [];
  const problems: string[] = [];
  let readable = 0;
  for (const file of chosen) {
    try {
      const read = await readFile(file);
      for (const one of read.documents) documents.push(one);
      problems.push(...read.problems);
      readable += 1;
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      problems.push(error.message);
    }
  }
  return { documents, problems, readable, name: nameFor(chosen) };
}

/** The folder that files are of, or the first one's name. */
function nameFor([first, ...others]: readonly File[]): string {
  if (first === undefined) return '';
  const [folder = ''] = first.webkitRelativePath.split('/', 1);
  if (folder !== '') return folder;
  return others.length === 0 ? first.name : `${first.name} and ${counted(others.length, 'other')}`;
}
