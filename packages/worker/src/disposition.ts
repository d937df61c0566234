/** What is done with a job that was taken up, or with a document of a bundle. */
export type Disposition =
  | { readonly kind: 'done' }
  /** Next in line again. */
  | { readonly kind: 'put_back' }
  | { readonly kind: 'later'; readonly afterMs: number }
  /** Nothing: it comes back when its lock is over. */
  | { readonly kind: 'left_alone' };

export const DONE: Disposition = { kind: 'done' };
export const PUT_BACK: Disposition = { kind: 'put_back' };
export const LEFT_ALONE: Disposition = { kind: 'left_alone' };
export const later = (afterMs: number): Disposition => ({ kind: 'later', afterMs });
