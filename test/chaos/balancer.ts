/** An API that may be asked. */
export type Target = { readonly origin: string };

/** What a load balancer does before several APIs: each call goes to the next one that is there. */
export class Balancer {
  readonly #targets: () => readonly Target[];
  #asked = 0;

  constructor(targets: () => readonly Target[]) {
    this.#targets = targets;
  }

  /** To be handed to a client as its `fetch`. */
  readonly fetch: typeof fetch = (input, init) => {
    const targets = this.#targets();
    const target = targets[this.#asked % Math.max(1, targets.length)];
    this.#asked += 1;
    // As a balancer without a server behind it.
    if (target === undefined) return Promise.reject(new TypeError('no API is there'));
    const { pathname, search } = new URL(input instanceof Request ? input.url : input);
    return fetch(new URL(`${pathname}${search}`, target.origin), init);
  };
}
