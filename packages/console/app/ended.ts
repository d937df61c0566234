/** Statuses of which nothing changes any more. */
export const ENDED: ReadonlySet<string> = new Set(['completed', 'failed', 'expired', 'cancelled']);
