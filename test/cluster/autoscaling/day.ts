/** What is sent, and what befalls the system, at which second of the run. A day in a quarter of an hour. */
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

const TRICKLE = { fromS: 200, untilS: 300, everyS: 20, documents: 12 };

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
  { atS: 10, label: 'a burst: 800 documents', kind: 'batch', documents: 800 },
  { atS: 60, label: 'a long batch: 8,000', kind: 'batch', documents: 8_000 },
  { atS: 130, label: "the expert's server is down", kind: 'expert_down' },
  { atS: 175, label: 'and there again', kind: 'expert_up' },
  { atS: 230, label: 'Redis is lost', kind: 'redis_lost' },
  { atS: 275, label: 'an empty Redis', kind: 'redis_back' },
  { atS: 935, label: 'Redis is lost once more', kind: 'redis_lost' },
  { atS: 975, label: 'an empty Redis', kind: 'redis_back' },
];

export const DAY: readonly Happening[] = [...LARGE, ...trickle].toSorted((one, other) => one.atS - other.atS);

/** Long enough for the drafters to be few again, five minutes after the last that were needed, and for an expert to go. */
export const DAY_S = 1_000;
