/** The ways in which a stage may ask its model; each is a file of packages/cascade/src/ask. */
export const ASK_KINDS = ['answer'] as const;

export type AskKind = (typeof ASK_KINDS)[number];

/** How a stage asks that does not say how. */
export const DEFAULT_ASK: AskKind = 'answer';
