/** A document's claim on one of the calls that a worker may make at a time. */
export class Slot {
  readonly #slots: Slots;
  readonly #taken = Promise.withResolvers<boolean>();
  #state: 'waiting' | 'taken' | 'over' = 'waiting';

  constructor(slots: Slots) {
    this.#slots = slots;
  }

  /** True once it is this document's turn; false: it was released before. */
  get taken(): Promise<boolean> {
    return this.#taken.promise;
  }

  get isTaken(): boolean {
    return this.#state === 'taken';
  }

  /** Whether its turn comes within so long. */
  async within(ms: number): Promise<boolean> {
    if (this.#state !== 'waiting') return this.isTaken;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const timer = setTimeout(() => resolve(false), Math.max(0, ms));
    return await Promise.race([this.taken, promise]).finally(() => clearTimeout(timer));
  }

  /** For `Slots`. */
  give(): void {
    this.#state = 'taken';
    this.#taken.resolve(true);
  }

  /** The call is over, or was not made. */
  release(): void {
    if (this.#state === 'over') return;
    const wasTaken = this.#state === 'taken';
    this.#state = 'over';
    this.#taken.resolve(false);
    this.#slots.released(this, wasTaken);
  }
}

/** The calls that a worker may make at a time, for documents in the order in which they ask. */
export class Slots {
  #limit: number;
  #taken = 0;
  readonly #line = new Set<Slot>();
  #spare = Promise.withResolvers<void>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  get concurrency(): number {
    return this.#limit;
  }

  set concurrency(limit: number) {
    this.#limit = limit;
    this.#serve();
  }

  /** Resolves once there is one that nobody waits for. */
  async spare(): Promise<void> {
    while (!this.#hasSpare) await this.#spare.promise;
  }

  reserve(): Slot {
    const slot = new Slot(this);
    this.#line.add(slot);
    this.#serve();
    return slot;
  }

  /** For `Slot`. */
  released(slot: Slot, wasTaken: boolean): void {
    if (wasTaken) this.#taken -= 1;
    else this.#line.delete(slot);
    this.#serve();
  }

  get #hasSpare(): boolean {
    return this.#taken < this.#limit && this.#line.size === 0;
  }

  #serve(): void {
    for (const slot of this.#line) {
      if (this.#taken >= this.#limit) return;
      this.#line.delete(slot);
      this.#taken += 1;
      slot.give();
    }
    if (!this.#hasSpare) return;
    this.#spare.resolve();
    this.#spare = Promise.withResolvers();
  }
}
