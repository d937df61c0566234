/**
 * Work that may be long, cut into slices: it stops at every `yield`, so that whoever runs it can let others have the
 * event loop. Pure work says only where it may stop; who waits for what is the runner's.
 */
export type Sliced<Result> = Generator<undefined, Result, undefined>;

/** So many characters are looked at, parsed or written in one slice: at most a millisecond or two, whatever they are. */
export const SLICE_CHARACTERS = 16 * 1024;

/** Runs work to its end without a stop, where nobody waits for the event loop. */
export function runAtOnce<Result>(work: Sliced<Result>): Result {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
  }
}
