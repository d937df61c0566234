import type { CascadeRules } from '@spillway/core';
import { liveBatches, readBatch, type BatchState } from '@spillway/redis';
import type { Api } from '../api.ts';

/** An open batch with the rules of the cascades that its documents name. */
export type OpenBatch = { readonly id: string; readonly state: BatchState; readonly rules: readonly CascadeRules[] };

/** How old a reading may be: all tiers are asked about at about the same time. */
const FRESH_MS = 500;

/** All batches that take results. */
export class OpenBatches {
  readonly #api: Api;
  #reading: Promise<OpenBatch[]> | null = null;
  #readAtMs = 0;

  constructor(api: Api) {
    this.#api = api;
  }

  read(): Promise<OpenBatch[]> {
    const now = performance.now();
    if (this.#reading === null || now - this.#readAtMs > FRESH_MS) {
      this.#readAtMs = now;
      this.#reading = this.#all();
      // A reading that failed is not kept; its error reaches whoever waits for it.
      this.#reading.catch(() => (this.#reading = null));
    }
    return this.#reading;
  }

  async #all(): Promise<OpenBatch[]> {
    const ids = await liveBatches(this.#api.board);
    return (await Promise.all(ids.map((id) => this.#one(id)))).flat();
  }

  /** Nothing of a batch that is not open, nor of one whose records cannot be read: it holds up no other. */
  async #one(id: string): Promise<OpenBatch[]> {
    const { board, records, log } = this.#api;
    const state = await readBatch(board, id);
    if (state?.phase !== 'open') return [];
    try {
      const cascades = (await records.manifest(id))?.cascades ?? {};
      const names = state.model === null ? await records.cascadesOf(id) : [state.model];
      return [{ id, state, rules: names.flatMap((name) => cascades[name] ?? []) }];
    } catch (error) {
      log.debug({ err: error, batch: id }, 'a batch is not counted: its records cannot be read');
      return [];
    }
  }
}
