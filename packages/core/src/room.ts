import { LIMITS } from './limits.ts';

/** Beside what Redis uses, as much again as is in hand must fit: the results, and the drafts of what escalates. */
export function hasFeedingMemory(
  { usedBytes, maxBytes }: { readonly usedBytes: number; readonly maxBytes: number },
  heldBytes: number,
): boolean {
  if (maxBytes === 0) return true;
  return usedBytes < LIMITS.feedMemoryShare * maxBytes && usedBytes + heldBytes < LIMITS.filledMemoryShare * maxBytes;
}

/**
 * Whether so much of an expert's documents is in hand that its drafters are fed only as it works off what it has. A page
 * is at most a sixteenth of the room, so a tier that is far behind stays above this.
 */
export function isNearlyFull(inHandBytes: number): boolean {
  return inHandBytes > LIMITS.inHandBytesPerTier - 2 * LIMITS.pageInputBytes;
}
