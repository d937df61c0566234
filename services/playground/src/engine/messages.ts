import type { DecoderShape } from './decoder.ts';
import type { GenerationEvent, GenerationRequest } from './generation.ts';

/** What a model's thread is started with. */
export interface ModelOptions {
  readonly name: string;
  /** What its files in the folder of the weights are called. */
  readonly file: string;
  /** The folder of the weights as a `file:` URL; URLs themselves do not survive the way into a thread. */
  readonly weights: string;
  /** How many answers are written at the same time. */
  readonly maxRows: number;
}

export type ToWorker =
  | { readonly kind: 'generate'; readonly id: number; readonly request: GenerationRequest }
  | { readonly kind: 'cancel'; readonly id: number }
  | { readonly kind: 'stop' };

export type FromWorker =
  | { readonly kind: 'ready'; readonly shape: DecoderShape }
  | { readonly kind: 'events'; readonly id: number; readonly events: readonly GenerationEvent[] };
