/** Work that is done one piece at a time, however many ask for it at once: each piece may take much memory. */
export class OneByOne {
  #last: Promise<unknown> = Promise.resolve();

  run<Done>(work: () => Promise<Done>): Promise<Done> {
    const done = this.#last.then(work, work);
    this.#last = done;
    // Whoever asked for the piece meets its failure.
    done.catch(() => undefined);
    return done;
  }
}
