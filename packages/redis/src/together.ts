import { MAX_BUNDLE } from '@spillway/core';
import { nextRound } from '@spillway/runtime';

/** What was asked for by one. */
type Waiting<Item, Answer> = {
  readonly item: Item;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
};

/** So many are taken together, what a bundle brings at once: a script of less than a millisecond holds up nobody. */
const MAX_TOGETHER = MAX_BUNDLE;

/** And of so many bytes; what is larger goes by itself. */
const MAX_BYTES_TOGETHER = 256 * 1024;

export type TogetherOptions<Item, Answer> = {
  readonly run: (items: readonly Item[]) => Promise<readonly Answer[]>;
  /** What cannot go together differs in this. */
  readonly groupOf: (item: Item) => string;
  readonly bytesOf: (item: Item) => number;
};

/**
 * Does together what is asked for while it is at it: the first goes with what the same round of the event loop brings, and
 * what comes until it is answered goes next, as one. Nothing waits for others to come, and each has an answer of its own; an
 * error is everybody's that went with it.
 */
export class Together<Item, Answer> {
  readonly #options: TogetherOptions<Item, Answer>;
  /** By group, what waits while one of that group is under way. */
  readonly #groups = new Map<string, Waiting<Item, Answer>[]>();

  constructor(options: TogetherOptions<Item, Answer>) {
    this.#options = options;
  }

  ask(item: Item): Promise<Answer> {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const group = this.#options.groupOf(item);
    const waiting = this.#groups.get(group);
    if (waiting === undefined) {
      this.#groups.set(group, [{ item, resolve, reject }]);
      void this.#work(group);
    } else waiting.push({ item, resolve, reject });
    return promise;
  }

  async #work(group: string): Promise<void> {
    // A process that had to wait for a core finds much at once, each in a turn of its own.
    await nextRound();
    for (let some = this.#next(group); some.length > 0; some = this.#next(group)) {
      try {
        const answers = await this.#options.run(some.map(({ item }) => item));
        for (const [at, { resolve }] of some.entries()) resolve(answers[at] as Answer);
      } catch (error) {
        for (const { reject } of some) reject(error);
      }
    }
  }

  /** What of a group waits; once nothing does, it is under way no more. */
  #next(group: string): Waiting<Item, Answer>[] {
    const waiting = this.#groups.get(group) ?? [];
    let [count, bytes] = [0, 0];
    for (const { item } of waiting.slice(0, MAX_TOGETHER)) {
      bytes += this.#options.bytesOf(item);
      if (count > 0 && bytes > MAX_BYTES_TOGETHER) break;
      count += 1;
    }
    const some = waiting.splice(0, count);
    if (some.length === 0) this.#groups.delete(group);
    return some;
  }
}

/**
 * Does something with all items where it can be done with all of them; else with each by itself. What of these could be
 * done was, and whoever asked is to know: the rest comes again, unless it is all of them.
 */
export async function allOrEach<Item, Answer extends string>(
  items: readonly Item[],
  act: (items: readonly Item[]) => Promise<Answer>,
): Promise<(Exclude<Answer, 'APART'> | 'RECOVERING')[]> {
  type Done = Exclude<Answer, 'APART'>;
  const answer = await act(items);
  if (answer !== 'APART') return items.map(() => answer as Done);
  const acting = items.map(async (item) => (await act([item])) as Done);
  const apart = await Promise.allSettled(acting);
  if (apart.every(({ status }) => status === 'rejected')) return await Promise.all(acting);
  return apart.map((one) => (one.status === 'fulfilled' ? one.value : 'RECOVERING'));
}
