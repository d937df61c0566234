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
 * have. A page is a sixteenth of the capacity unless one line is larger, so that a way with a tier that is far behind
 * stays above two pages less than all; `nextBytes` is what the next page takes.
 */
export function isNearlyFull(inFlightBytes: number, nextBytes = 0): boolean {
  return inFlightBytes > LIMITS.inFlightBytesPerWay - 2 * Math.max(LIMITS.pageInputBytes, nextBytes);
}
