import { KEYS } from '@spillway/core';
import type { Storage } from '@spillway/storage';

const EMPTY = Buffer.from('{}');

/** Writes down which tenants there are, once for each. */
export class Tenants {
  readonly #storage: Storage;
  readonly #noted = new Set<string>();

  constructor(storage: Storage) {
    this.#storage = storage;
  }

  /** Before a tenant's first index key. */
  async note(tenant: string): Promise<void> {
    if (this.#noted.has(tenant)) return;
    await this.#storage.create(KEYS.tenantMark(tenant), EMPTY);
    this.#noted.add(tenant);
  }
}
