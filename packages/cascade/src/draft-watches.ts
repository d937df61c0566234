import {
  DraftWatch,
  ENDPOINTS,
  type DocumentJob,
  type DraftWatchOptions,
  type EarlyStop,
  type JsonObject,
} from '@spillway/core';
import type { OnEvent } from '@spillway/models';
import type { Asked } from './asked.ts';
import type { ReadingRate } from './reading-rate.ts';

type Answered = Extract<Asked, { kind: 'answered' }>;

/** A draft that is watched as it comes. */
type Watched = { readonly draft: DraftWatch; readonly onEvent: OnEvent };

/** The drafts of a model that are given up once nothing can make them final, and what they took. */
export class DraftWatches {
  readonly #reading: ReadingRate;
  /** The model's server streams, with log-probs. */
  isStreaming = false;

  /** `reading`: how much the model reads for a request, which answers that came whole show. */
  constructor(reading: ReadingRate) {
    this.#reading = reading;
  }

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
   * A watched draft with what its call took; `stop` null: it came whole, whatever was said of it as it came. A server says
   * it at the end: of a call that was given up before, the tokens that came are counted, and those that were read are
   * estimated.
   */
  account(asked: Answered, job: DocumentJob, stop: EarlyStop | null): Answered {
    const { usage } = asked.answer;
    if (stop === null) {
      this.#reading.note(job, job.body, usage.inputTokens);
      return asked;
    }
    const isEstimated = usage.inputTokens === 0;
    const estimated = { ...usage, inputTokens: this.#reading.tokensOf(job, job.body), outputTokens: stop.tokens };
    const answer = { ...asked.answer, usage: isEstimated ? estimated : usage };
    return { ...asked, answer, stopped: { ...stop, isEstimated } };
  }
}
