import type { EndpointStream, JsonObject } from '@spillway/core';
import type { OnEvent } from '@spillway/models';

/** The text of an answer as it is streamed, until there is enough of it. */
export class TextWatch {
  readonly #stream: Pick<EndpointStream, 'said'>;
  readonly #isEnough: (piece: string) => boolean;
  #pieces = 0;

  /** `isEnough` gets each piece as it comes, once. */
  constructor(stream: Pick<EndpointStream, 'said'>, isEnough: (piece: string) => boolean) {
    this.#stream = stream;
    this.#isEnough = isEnough;
  }

  /** How many pieces of text came; servers send a token in each. */
  get pieces(): number {
    return this.#pieces;
  }

  readonly onEvent: OnEvent = (data: JsonObject) => {
    const pieces = this.#stream.said(data).texts.filter(({ index, text }) => index === 0 && text !== '');
    if (pieces.length === 0) return undefined;
    this.#pieces += 1;
    return this.#isEnough(pieces.map(({ text }) => text).join('')) ? 'enough' : undefined;
  };
}
