import { isCounter, NO_COUNTS, type Counts } from '@spillway/core';

/** The counters among the fields of a batch's or a page's hash; `prefix` stands before each name. */
export function countsIn(hash: Readonly<Record<string, string>>, prefix = ''): Counts {
  const counts: Record<string, number> = { ...NO_COUNTS };
  for (const [field, value] of Object.entries(hash)) {
    if (!field.startsWith(prefix)) continue;
    const name = field.slice(prefix.length);
    if (isCounter(name)) counts[name] = Number(value);
  }
  return counts as Counts;
}
