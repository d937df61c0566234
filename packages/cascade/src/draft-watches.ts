import { DraftWatch, ENDPOINTS, type DocumentJob, type DraftWatchOptions, type JsonObject } from '@spillway/core';
import type { OnEvent } from '@spillway/models';
import type { Asked } from './asked.ts';
import { ReadingRate } from './reading-rate.ts';

type Answered = Extract<Asked, { kind: 'answered' }>;

/** A draft that is watched as it comes. */
type Watched = { readonly draft: DraftWatch; readonly onEvent: OnEvent };

/** The drafts of a model that are given up once nothing can make them final, and what they took. */
export class DraftWatches {
  readonly #reading = new ReadingRate();
  /** The model's server streams, with log-probs. */
  isStreaming = false;

  /** Null: the draft comes whole, as it cannot be watched. */
  of({ endpoint, body }: DocumentJob, options: DraftWatchOptions): Watched | null {
    const { draft: read } = ENDPOINTS[endpoint].stream;
    const { n } = body;
    const isOne = typeof n !== 'number' || n === 1;
    if (!this.isStreaming || read === null || !isOne) return null;
    const draft = new DraftWatch(options);
    return { draft, onEvent: (data: JsonObject) => (draft.push(read(data)) ? 'enough' : undefined) };
  }

  /**
   * An answer with what its call took. A server says so at the end: of a call that was given up before, the tokens that
   * came are counted, and those that were read are estimated.
   */
  account(asked: Answered, { body }: DocumentJob, watch: Watched | null): Answered {
    // Only where drafts are given up something is to be estimated; to measure a request takes a pass over it.
    if (watch === null) return asked;
    const { usage } = asked.answer;
    const { stop } = watch.draft;
    if (stop === null) {
      this.#reading.note(body, usage.inputTokens);
      return asked;
    }
    const isEstimated = usage.inputTokens === 0;
    const estimated = { ...usage, inputTokens: this.#reading.tokensOf(body), outputTokens: stop.tokens };
    const answer = { ...asked.answer, usage: isEstimated ? estimated : usage };
    return { ...asked, answer, stopped: { ...stop, isEstimated } };
  }
}
