/**
 * Maps items by a function that waits, with at most `limit` of them under way. The results are in the order of the
 * items. After a failure no further item is begun; those under way are waited for, then the first error is thrown.
 */
export async function mapConcurrent<Item, Result>(
  items: Iterable<Item>,
  limit: number,
  work: (item: Item, index: number) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  const failures: unknown[] = [];
  const entries = [...items].entries();
  // Every lane takes its next item from the one iterator, so that a slow item holds up its own lane only.
  const lane = async (): Promise<void> => {
    for (const [index, item] of entries) {
      if (failures.length > 0) return;
      try {
        results[index] = await work(item, index);
      } catch (error) {
        failures.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, limit) }, lane));
  if (failures.length > 0) throw failures[0];
  return results;
}
