import { LIMITS } from '../limits.ts';

/** Beside what Redis uses, as much again as is in flight must fit: the results, and the drafts of what escalates. */
export function hasEnqueueMemory(
  { usedBytes, maxBytes }: { readonly usedBytes: number; readonly maxBytes: number },
  heldBytes: number,
): boolean {
  if (maxBytes === 0) return true;
  return (
    usedBytes < LIMITS.enqueueMemoryShare * maxBytes && usedBytes + heldBytes < LIMITS.filledMemoryShare * maxBytes
  );
}

/**
 * Whether so much of a tier's documents is in flight that the tiers before it are given more only as it works off what
 * it has. A page is at most a sixteenth of the capacity, so a tier that is far behind stays above this.
 */
export function isNearlyFull(inFlightBytes: number): boolean {
  return inFlightBytes > LIMITS.inFlightBytesPerTier - 2 * LIMITS.pageInputBytes;
}
