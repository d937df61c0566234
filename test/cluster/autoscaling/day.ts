/** What is sent, and what befalls the system, at which second of the run. A day in about twenty-five minutes. */
export type Happening = {
  readonly atS: number;
  /** As the picture says it; empty: it says nothing. */
  readonly label: string;
} & (
  | { readonly kind: 'batch'; readonly documents: number }
  | { readonly kind: 'expert_down' | 'expert_up' | 'redis_lost' | 'redis_back' }
);

/** Of each batch's documents, those that the drafter is not sure of. */
export const UNSURE_SHARE = 0.3;

const TRICKLE = { fromS: 660, untilS: 900, everyS: 20, documents: 12 };

const trickle: Happening[] = Array.from(
  { length: (TRICKLE.untilS - TRICKLE.fromS) / TRICKLE.everyS },
  (_, index): Happening => ({
    atS: TRICKLE.fromS + index * TRICKLE.everyS,
    label: index === 0 ? 'a trickle' : '',
    kind: 'batch',
    documents: TRICKLE.documents,
  }),
);

const LARGE: readonly Happening[] = [
  { atS: 30, label: 'a burst: 1,200 documents', kind: 'batch', documents: 1_200 },
  { atS: 180, label: 'a long batch: 16,000', kind: 'batch', documents: 16_000 },
  { atS: 300, label: "the expert's server is down", kind: 'expert_down' },
  { atS: 390, label: 'and there again', kind: 'expert_up' },
  { atS: 735, label: 'another burst: 800', kind: 'batch', documents: 800 },
  { atS: 745, label: 'Redis is lost', kind: 'redis_lost' },
  { atS: 805, label: 'an empty Redis', kind: 'redis_back' },
  { atS: 1_525, label: 'Redis is lost once more', kind: 'redis_lost' },
  { atS: 1_585, label: 'an empty Redis', kind: 'redis_back' },
];

export const DAY: readonly Happening[] = [...LARGE, ...trickle].toSorted((one, other) => one.atS - other.atS);

/** The last expert goes with the cooldown of 600 s after the trickle; then Redis is lost while none is there. */
export const DAY_S = 1_640;
