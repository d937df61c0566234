import { agrees, drawnDocuments, labelsFileOf, LIMITS, type AgreementRule } from '@spillway/core';
import { nextRound } from '@spillway/runtime';
import { readLabels, type BatchPlan, type Storage } from '@spillway/storage';
import { z } from 'zod';
import { Reviews } from '../documents/reviews.ts';

const count = z.int().min(0);

/** What is known of a batch's accuracy. */
export const labelledDocuments = z
  .strictObject({
    documents: count.meta({ description: 'Those whose right answer a review or a label of the batch says.' }),
    right_now: count.meta({ description: 'Of them, those whose answer is the right one as it is.' }),
    known: count.meta({ description: 'Of them, those whose answer would be one that is known.' }),
    right: count.meta({ description: 'Of the known ones, those whose answer would be the right one.' }),
  })
  .meta({
    id: 'LabelledDocuments',
    description:
      'How right the answers are that would stand. Reviewed documents are seldom like the others: the least sure ' +
      'are looked at first.',
  });

/** A document as it is, and as it would be. */
type Decided = {
  readonly customId: string;
  readonly agreement: AgreementRule | undefined;
  /** What a review says is right; undefined: there is none. */
  readonly reviewed: string | undefined;
  /** The text of its answer; null: it has none. */
  readonly now: string | null;
  /** The same of what it would be; undefined: somebody is to be asked. */
  readonly after: string | null | undefined;
};

/** Of an answer that is longer no label can say that it is right, also where only white space makes it so. */
const MAX_KEPT_CHARACTERS = 2 * LIMITS.labelBytes;
const cut = <Text extends string | null | undefined>(text: Text): Text | null =>
  (text?.length ?? 0) > MAX_KEPT_CHARACTERS ? null : text;

/** Counts the documents of a batch whose right answers are known, page by page. */
export class Labelled {
  readonly #storage: Storage;
  readonly #reviews: Reviews;
  readonly #file: string | null;
  /** Those of the batch's labels that are of use: some hundreds. */
  readonly #drawn: ReadonlySet<number>;
  /** The drawn ones by their ids, as their labels are read at the end, and only theirs are kept. */
  readonly #waiting: Omit<Decided, 'reviewed'>[] = [];
  readonly #counts = { documents: 0, right_now: 0, known: 0, right: 0 };

  private constructor(storage: Storage, reviews: Reviews, { manifest, draws }: BatchPlan) {
    this.#storage = storage;
    this.#reviews = reviews;
    this.#file = labelsFileOf(manifest.metadata);
    this.#drawn = new Set(this.#file === null ? [] : drawnDocuments(draws ?? {}));
  }

  static async of(storage: Storage, plan: BatchPlan): Promise<Labelled> {
    return new Labelled(storage, await Reviews.of(storage, plan.manifest.id), plan);
  }

  /** What reviews say is right of some documents. */
  reviewed(documents: Iterable<number>): Promise<ReadonlyMap<number, string>> {
    return this.#reviews.answersOf(documents);
  }

  isDrawn(document: number): boolean {
    return this.#drawn.has(document);
  }

  async add({ reviewed, ...document }: Decided): Promise<void> {
    const { now, after } = document;
    if (reviewed === undefined) this.#waiting.push({ ...document, now: cut(now), after: cut(after) });
    else await this.#count(document, reviewed);
  }

  /** All counts, once all documents were added. */
  async total(): Promise<z.input<typeof labelledDocuments>> {
    if (this.#file !== null && this.#waiting.length > 0) {
      const wanted = new Set(this.#waiting.map(({ customId }) => customId));
      const read = await readLabels(this.#storage, this.#file, wanted);
      for (const document of this.#waiting.splice(0)) {
        // Whoever deleted their labels since has none.
        const { answer = null } = (read.kind === 'labels' ? read.labels.get(document.customId) : null) ?? {};
        if (answer !== null) await this.#count(document, answer);
      }
    }
    return this.#counts;
  }

  /** To compare texts takes some milliseconds where they are long: others have their turn in between. */
  async #count({ agreement, now, after }: Omit<Decided, 'reviewed'>, right: string): Promise<void> {
    await nextRound();
    const isRight = (text: string | null): boolean => text !== null && agrees(agreement, text, right);
    this.#counts.documents += 1;
    if (isRight(now)) this.#counts.right_now += 1;
    if (after === undefined) return;
    await nextRound();
    this.#counts.known += 1;
    if (isRight(after)) this.#counts.right += 1;
  }
}
