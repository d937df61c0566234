import type { FairShare } from './fair-share.ts';
import { Heap } from './heap.ts';

/** `tag` is the flow's start tag when it was put in place; of two that begin together the lesser `order` is first. */
type Entry = { readonly flow: string; readonly order: number; readonly tag: number };

const byOrder = (left: Entry, right: Entry): boolean =>
  left.order < right.order || (left.order === right.order && left.flow < right.flow);
const byTag = (left: Entry, right: Entry): boolean =>
  left.tag < right.tag || (left.tag === right.tag && byOrder(left, right));

/**
 * Flows of a share that are ready, so that which of them is next is known without looking at each: a choice among a
 * hundred thousand costs as much as one among ten. Several queues may take their flows from one share.
 */
export class FairQueue {
  readonly #share: FairShare;
  /** The one entry of each flow that counts. The others are dropped when they come to the top. */
  readonly #entries = new Map<string, Entry>();
  /** Those whose start tags the present has reached are equal, and go by their order; the others wait for it. */
  readonly #present = new Heap<Entry>(byOrder);
  readonly #ahead = new Heap<Entry>(byTag);

  constructor(share: FairShare) {
    this.#share = share;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Puts a flow in, or in its new place after something was served to it. */
  put(flow: string, order: number): void {
    const entry = { flow, order, tag: this.#share.startOf(flow) };
    this.#entries.set(flow, entry);
    if (entry.tag <= this.#share.now) this.#present.push(entry);
    else this.#ahead.push(entry);
  }

  drop(flow: string): void {
    this.#entries.delete(flow);
  }

  /** The flow that is next, and its start tag, to compare with other queues'; null when there is none. */
  next(): { readonly flow: string; readonly order: number; readonly tag: number } | null {
    for (let entry = this.#top(this.#ahead); entry !== null && entry.tag <= this.#share.now;) {
      this.#ahead.pop();
      this.#present.push(entry);
      entry = this.#top(this.#ahead);
    }
    const first = this.#top(this.#present);
    // What the present has reached begins now, wherever its tag was.
    return first === null ? this.#top(this.#ahead) : { ...first, tag: this.#share.now };
  }

  #top(heap: Heap<Entry>): Entry | null {
    for (let entry = heap.peek(); entry !== undefined; entry = heap.peek()) {
      if (this.#entries.get(entry.flow) === entry) return entry;
      heap.pop();
    }
    return null;
  }
}
