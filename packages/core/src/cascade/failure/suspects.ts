/** The documents whose calls failed since somebody was last answered, as one worker sees it. */
export type Suspects = {
  /** When the first of them failed; on whatever clock the worker counts. */
  readonly sinceMs: number;
  readonly documents: ReadonlySet<string>;
};

export const NO_SUSPECTS: Suspects = { sinceMs: 0, documents: new Set() };

/** One document may fail by its own fault, and calls that are still under way may yet be answered. */
const MIN_SUSPECTS = 2;

/** So many fail by their own fault only where others are answered in between. */
const ENOUGH_SUSPECTS = 8;

/** With one more document that failed. */
export function withSuspect({ sinceMs, documents }: Suspects, document: string, nowMs: number): Suspects {
  return { sinceMs: documents.size === 0 ? nowMs : sinceMs, documents: new Set(documents).add(document) };
}

/**
 * Whether the server answers nobody: several documents failed in a row, and no call is left that began before and may
 * yet be answered, or too many failed for each of them to be the guilty one.
 */
export const areAllSuspects = ({ documents }: Suspects, callsBegunBefore: number): boolean =>
  documents.size >= ENOUGH_SUSPECTS || (documents.size >= MIN_SUSPECTS && callsBegunBefore === 0);
