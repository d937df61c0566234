import type { Meters } from './meters.ts';

/** Why a sender may not do what it asked for, and the status that it is told so by. */
const REFUSALS = { no_key: 401, unknown_key: 401, not_admin: 403, foreign_page: 403 } as const;

export type Refusal = keyof typeof REFUSALS;

export const REFUSAL_REASONS = Object.keys(REFUSALS) as Refusal[];

/** Counts a request that was refused; with 0 it shows the reason, so that the first refusal is seen as one. */
export function countRefusal(meters: Meters, reason: Refusal, by: 0 | 1 = 1): void {
  meters.count('cascade.requests.refused', by, { 'http.response.status_code': REFUSALS[reason], reason });
}
