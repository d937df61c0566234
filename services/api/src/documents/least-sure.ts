import { Heap } from '@spillway/core';

type Judged = { readonly document: number; readonly confidence: number };

/** Whether the first of two is more sure than the second; of equal ones the later. */
const isSurer = (left: Judged, right: Judged): boolean =>
  left.confidence === right.confidence ? left.document > right.document : left.confidence > right.confidence;

/** Of any number of documents the so many least sure ones; those of which no draft was judged come last. */
export class LeastSure {
  readonly #most: number;
  /** The surest of those that are kept is the one that goes first. */
  readonly #kept = new Heap<Judged>(isSurer);

  constructor(most: number) {
    this.#most = most;
  }

  add(document: number, confidence: unknown): void {
    const judged = { document, confidence: typeof confidence === 'number' ? confidence : Number.POSITIVE_INFINITY };
    const surest = this.#kept.peek();
    if (this.#kept.size >= this.#most && surest !== undefined && !isSurer(surest, judged)) return;
    this.#kept.push(judged);
    if (this.#kept.size > this.#most) this.#kept.pop();
  }

  /** Least sure first. None is kept afterwards. */
  documents(): number[] {
    const documents: number[] = [];
    for (let surest = this.#kept.pop(); surest !== undefined; surest = this.#kept.pop())
      documents.push(surest.document);
    return documents.toReversed();
  }
}
