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
 * Whether so much of a way is in flight that its first tiers are given more only as the later ones work off what they
 * have. A page is at most a sixteenth of the capacity, so a way with a tier that is far behind stays above this.
 */
export function isNearlyFull(inFlightBytes: number): boolean {
  return inFlightBytes > LIMITS.inFlightBytesPerWay - 2 * LIMITS.pageInputBytes;
}
