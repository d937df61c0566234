/** Where a model's files lie below the folder of the weights. */
export interface PlaygroundModel {
  /** The folder that holds the tokenizer of its pair and its own files. */
  readonly folder: '' | 'orders/';
  readonly file: 'drafter' | 'expert';
}

/** The names that clients use. */
export const PLAYGROUND_MODELS: ReadonlyMap<string, PlaygroundModel> = new Map([
  ['spillway-drafter', { folder: '', file: 'drafter' }],
  ['spillway-expert', { folder: '', file: 'expert' }],
  ['spillway-orders-drafter', { folder: 'orders/', file: 'drafter' }],
  ['spillway-orders-expert', { folder: 'orders/', file: 'expert' }],
]);

/** What is served unless something else is asked for: the quick start needs no more, and loads no more. */
export const DEFAULT_MODELS: readonly string[] = ['spillway-drafter', 'spillway-expert'];
