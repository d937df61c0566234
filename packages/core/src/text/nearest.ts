/** So many letters may be wrong in a name that was meant to be another one. */
const MAX_EDITS = 3;

/** Names are short; longer text was not meant to be one. */
const MAX_CHARACTERS = 64;

/** The name that another one was probably meant to be; letters count, not their case or what stands between them. */
export function nearestName(name: string, known: readonly string[]): string | null {
  if (name.length > MAX_CHARACTERS) return null;
  const distances = known.map((one) => ({ one, edits: editsBetween(lettersOf(name), lettersOf(one)) }));
  const [nearest] = distances.toSorted((left, right) => left.edits - right.edits);
  return nearest === undefined || nearest.edits > MAX_EDITS ? null : nearest.one;
}

const lettersOf = (name: string): string => name.toLowerCase().replaceAll(/[^a-z0-9]/g, '');

/** How many letters must be added, left out or replaced to make one text of the other (Levenshtein). */
function editsBetween(left: string, right: string): number {
  let row = Array.from({ length: right.length + 1 }, (_, at) => at);
  for (const [at, letter] of Array.from(left).entries()) {
    const next = [at + 1];
    for (const [place, other] of Array.from(right).entries()) {
      const replaced = (row[place] ?? 0) + (letter === other ? 0 : 1);
      next.push(Math.min(replaced, (row[place + 1] ?? 0) + 1, (next[place] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
