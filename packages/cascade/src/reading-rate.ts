import { jsonCharacters, type JsonObject } from '@spillway/core';

/** Until a call has shown better: English text has about four characters to a token. */
const TOKENS_PER_CHARACTER = 0.25;

/** How much the next call counts beside all before it. */
const WEIGHT = 0.1;

/** How many tokens a model reads for a request, by those that its server has counted: to estimate what no one said. */
export class ReadingRate {
  #perCharacter: number | null = null;

  /** A request was answered whole; 0 tokens: its server does not count. */
  note(request: JsonObject, inputTokens: number): void {
    if (inputTokens === 0) return;
    const rate = inputTokens / jsonCharacters(request);
    this.#perCharacter = this.#perCharacter === null ? rate : this.#perCharacter + WEIGHT * (rate - this.#perCharacter);
  }

  tokensOf(request: JsonObject): number {
    return Math.round((this.#perCharacter ?? TOKENS_PER_CHARACTER) * jsonCharacters(request));
  }
}
