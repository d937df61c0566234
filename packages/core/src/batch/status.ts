/** The states a client sees. */
export type BatchStatus =
  | 'validating'
  | 'failed'
  | 'in_progress'
  | 'finalizing'
  | 'completed'
  | 'expired'
  | 'cancelling'
  | 'cancelled';

export const OUTCOMES = ['completed', 'failed', 'expired', 'cancelled'] as const;

/** How a batch ends. */
export type Outcome = (typeof OUTCOMES)[number];

/** The phase of a batch in Redis; only an `open` one takes results. */
export type Phase = 'validating' | 'open' | 'closed';

/** The one table of a batch's ways. */
export const NEXT_STATUS: Readonly<Record<BatchStatus, readonly BatchStatus[]>> = {
  validating: ['in_progress', 'failed', 'cancelling', 'expired'],
  in_progress: ['finalizing', 'cancelling', 'expired'],
  finalizing: ['completed'],
  cancelling: ['cancelled'],
  completed: [],
  failed: [],
  expired: [],
  cancelled: [],
};

/** The status shown while a batch is in Redis. An expired batch shows its last state until its files stand. */
export function shownStatus(phase: Phase, outcome: Outcome | null, validated: boolean): BatchStatus {
  if (phase === 'validating') return 'validating';
  if (phase === 'open') return 'in_progress';
  if (outcome === 'completed') return 'finalizing';
  if (outcome === 'cancelled') return 'cancelling';
  return validated ? 'in_progress' : 'validating';
}

export const canCancel = (status: BatchStatus): boolean =>
  NEXT_STATUS[status].includes('cancelling') || status === 'cancelling' || status === 'cancelled';
