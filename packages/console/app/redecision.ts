/** What would come of deciding a batch anew, as the API says it. */
export type Preview = {
  readonly documents: { readonly total: number; readonly kept: number; readonly asked: number };
  readonly usd: { readonly least: number; readonly most: number } | null;
  readonly labelled: Labelled;
};

/** How right the documents are of which a review or a label says what is right. */
export type Labelled = {
  readonly documents: number;
  readonly right_now: number;
  readonly known: number;
  readonly right: number;
};

/** What may be done with documents that were found, in a new batch: by the API's word, what the page says of it. */
export const SELECTIONS = {
  escalate: { button: 'Escalate', says: 'the drafts of which', does: 'holds go on' },
  ask_again: { button: 'Ask again', says: 'the documents of which', does: 'holds are asked about anew' },
} as const;
export type Selection = keyof typeof SELECTIONS;
