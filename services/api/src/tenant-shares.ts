/** What is short: all of it, or the caller's own share. */
export type Short = 'all' | 'own';

/**
 * Something that there is so much of, taken and given back by tenants. A tenant may have as much as is still free beside
 * it: one alone has half, and however many want all they can get, something is left for the next one.
 */
export class TenantShares {
  readonly #capacity: number;
  readonly #isShared: boolean;
  readonly #taken = new Map<string, number>();
  #sum = 0;

  /** Not shared: there is one tenant, and it may have everything. */
  constructor(capacity: number, { isShared }: { readonly isShared: boolean }) {
    this.#capacity = capacity;
    this.#isShared = isShared;
  }

  /** Takes so much; null, or what is short. */
  take(tenant: string, amount: number): Short | null {
    const own = this.#taken.get(tenant) ?? 0;
    const free = this.#capacity - this.#sum - amount;
    const isOver = this.#isShared && own > 0 && own + amount > free;
    if (isOver || (free < 0 && own > 0)) return 'own';
    if (free < 0) return 'all';
    this.#taken.set(tenant, own + amount);
    this.#sum += amount;
    return null;
  }

  giveBack(tenant: string, amount: number): void {
    const left = (this.#taken.get(tenant) ?? 0) - amount;
    if (left > 0) this.#taken.set(tenant, left);
    else this.#taken.delete(tenant);
    this.#sum -= amount;
  }
}
