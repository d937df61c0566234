import type { CascadeRules } from '@spillway/core';
import { isRecovering, liveBatches, readBatch, type BatchState } from '@spillway/redis';
import type { Api } from '../api.ts';
import { recovering } from './live.ts';

/** An open batch with the rules of the cascades that its documents name. */
export type OpenBatch = { readonly id: string; readonly state: BatchState; readonly rules: readonly CascadeRules[] };

/** All batches that take results. */
export class OpenBatches {
  readonly #api: Api;
  #reading: Promise<OpenBatch[]> | null = null;

  constructor(api: Api) {
    this.#api = api;
  }

  /** As they are now. Who asks meanwhile gets the same reading; it is not kept, as Redis may lose its memory after it. */
  read(): Promise<OpenBatch[]> {
    this.#reading ??= this.#all().finally(() => (this.#reading = null));
    return this.#reading;
  }

  async #all(): Promise<OpenBatch[]> {
    await this.#refuseWhileRecovering();
    const ids = await liveBatches(this.#api.board);
    const open = (await Promise.all(ids.map((id) => this.#one(id)))).flat();
    await this.#refuseWhileRecovering();
    return open;
  }

  /** What is read of a Redis that lost its memory, before or amid the reading, is nothing. */
  async #refuseWhileRecovering(): Promise<void> {
    if (await isRecovering(this.#api.board)) throw recovering();
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
