import { LIMITS } from '../limits.ts';

const UNITS = { m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** Milliseconds of a completion window such as `24h`, `90m` or `2d`; null when it is not one, or out of bounds. */
export function windowMs(text: string): number | null {
  const match = /^([1-9]\d{0,5})([mhd])$/.exec(text);
  if (match === null) return null;
  const ms = Number(match[1]) * UNITS[match[2] as keyof typeof UNITS];
  return ms >= LIMITS.completionWindowMinMs && ms <= LIMITS.completionWindowMaxMs ? ms : null;
}
