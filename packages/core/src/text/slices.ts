/**
 * Work that may be long, cut into slices: it stops at every `yield`, so that whoever runs it can let others have the
 * event loop. Pure work says only where it may stop; who waits for what is the runner's.
 */
export type Sliced<Result> = Generator<undefined, Result, undefined>;

/** So many characters are looked at, parsed or written in one slice: at most a millisecond or two, whatever they are. */
export const SLICE_CHARACTERS = 16 * 1024;

/** Makes something of each item of a list that may be long; what is made of one must be short. */
export function* mapSliced<Item, Made>(items: readonly Item[], make: (item: Item, at: number) => Made): Sliced<Made[]> {
  const made: Made[] = [];
  for (const [at, item] of items.entries()) {
    if (at % SLICE_ITEMS === SLICE_ITEMS - 1) yield;
    made.push(make(item, at));
  }
  return made;
}

/** Items of a list, such as tokens, that are looked at in one slice: at 10 µs each that is 10 ms. */
export const SLICE_ITEMS = 1024;

/** Runs work to its end without a stop, where nobody waits for the event loop. */
export function runAtOnce<Result>(work: Sliced<Result>): Result {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
  }
}
