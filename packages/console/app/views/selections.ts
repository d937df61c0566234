/** What the API says would come of a new batch. */
export type Preview = {
  readonly documents: { readonly kept: number; readonly asked: number };
  readonly usd: { readonly least: number; readonly most: number } | null;
};

/** What may be done with the documents that are found, in a new batch: what the page says of it, and the API. */
export const SELECTIONS = {
  escalate: { key: 'escalate', button: 'Escalate', says: 'the drafts of which', does: 'holds go on' },
  again: { key: 'ask_again', button: 'Ask again', says: 'the documents of which', does: 'holds are asked about anew' },
} as const;
export type Selection = keyof typeof SELECTIONS;

/** What it would come to, and of which. */
export type Offer = Preview & { readonly selection: Selection };
