import { contentOf, isJsonObject, readUsage, type DocumentJob, type JsonObject } from '@spillway/core';

/** Until a call has shown better: English text has about four characters to a token. */
const TOKENS_PER_CHARACTER = 0.25;

/** How much the next call counts beside all before it. */
const WEIGHT = 0.1;

/** What is seen again and again, the latest for a part. */
class Average {
  #value: number | null = null;

  get value(): number | null {
    return this.#value;
  }

  add(next: number): void {
    this.#value = this.#value === null ? next : this.#value + WEIGHT * (next - this.#value);
  }
}

/**
 * How many tokens a model reads for a request, by those that its server has counted: to estimate what no one said. Where
 * an earlier stage drafted the document it goes by what that read of it: documents differ more than models do, so that
 * processes that have seen others say nearly the same of it.
 */
export class ReadingRate {
  readonly #perCharacter = new Average();
  /** What is read of documents beside what the earlier stage read of them. */
  readonly #besideDrafts = new Average();

  /** A request for a document was answered whole; 0 tokens: its server does not count. */
  note(job: DocumentJob, request: JsonObject, inputTokens: number): void {
    if (inputTokens === 0) return;
    const rate = inputTokens / charactersOf(request);
    this.#perCharacter.add(rate);
    const drafted = draftedRate(job);
    if (drafted !== null) this.#besideDrafts.add(rate / drafted);
  }

  tokensOf(job: DocumentJob, request: JsonObject): number {
    const drafted = draftedRate(job);
    const rate =
      drafted === null ? (this.#perCharacter.value ?? TOKENS_PER_CHARACTER) : drafted * (this.#besideDrafts.value ?? 1);
    return Math.round(rate * charactersOf(request));
  }
}

/** The tokens that an earlier stage's server counted of a document, per character; null: none did. */
function draftedRate(job: DocumentJob): number | null {
  const { drafts, body } = job;
  const counted = drafts.findLast(({ answer, stopped }) => stopped === undefined && countedIn(answer?.body) > 0);
  return counted === undefined ? null : countedIn(counted.answer?.body) / charactersOf(body);
}

/** Of what a model reads of a request: its texts, as settings and names are no tokens, and turns hardly any. */
const charactersOf = (request: JsonObject): number => Math.max(1, contentOf(request).characters);

const countedIn = (body: unknown): number => (isJsonObject(body) ? readUsage(body['usage']).inputTokens : 0);
