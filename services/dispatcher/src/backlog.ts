/** A batch that waits, and whose it is. */
type Waiting = { readonly id: string; readonly tenant: string };

/** Of a tenant's batches so many are passed over that cannot be taken now, such as those whose last step failed. */
const MAX_PASSED_OVER = 256;

/** Batches that wait for one kind of work. Tenants take turns, then each one's batches do, those that came first first. */
export class Backlog {
  /** The tenant whose turn is next comes first. */
  readonly #byTenant = new Map<string, Set<string>>();
  readonly #tenants = new Map<string, string>();

  get size(): number {
    return this.#tenants.size;
  }

  /** The tenants that have batches here. */
  tenants(): IterableIterator<string> {
    return this.#byTenant.keys();
  }

  add(id: string, tenant: string): void {
    this.#tenants.set(id, tenant);
    const own = this.#byTenant.get(tenant);
    if (own === undefined) this.#byTenant.set(tenant, new Set([id]));
    else own.add(id);
  }

  drop(id: string): void {
    const tenant = this.#tenants.get(id) ?? '';
    this.#tenants.delete(id);
    const own = this.#byTenant.get(tenant);
    own?.delete(id);
    if (own?.size === 0) this.#byTenant.delete(tenant);
  }

  /**
   * Up to `most` of those that are ready, of each tenant at most `mostOf`. Each stays, behind the tenant's others, until it
   * is dropped.
   */
  take(most: number, isReady: (id: string) => boolean, mostOf: (tenant: string) => number = () => most): Waiting[] {
    const taken: Waiting[] = [];
    let queues = this.#byTenant
      .entries()
      .map(([tenant, ids]) => ({ tenant, ready: readyOnes(ids, isReady).take(Math.max(0, mostOf(tenant))) }));
    while (taken.length < most) {
      const served: { tenant: string; ready: IteratorObject<string, undefined> }[] = [];
      for (const { tenant, ready } of queues) {
        const { value: id, done } = ready.next();
        if (done === true) continue;
        taken.push({ id, tenant });
        served.push({ tenant, ready });
        if (taken.length === most) break;
      }
      if (served.length === 0) break;
      queues = served.values();
    }
    for (const one of taken) this.#putLast(one);
    return taken;
  }

  #putLast({ id, tenant }: Waiting): void {
    const own = this.#byTenant.get(tenant);
    if (own === undefined) return;
    own.delete(id);
    own.add(id);
    this.#byTenant.delete(tenant);
    this.#byTenant.set(tenant, own);
  }
}

/** Those of a tenant's batches that are ready. */
function* readyOnes(ids: ReadonlySet<string>, isReady: (id: string) => boolean): Generator<string, undefined> {
  let passedOver = 0;
  for (const id of ids) {
    if (isReady(id)) yield id;
    else if ((passedOver += 1) === MAX_PASSED_OVER) return;
  }
}
