import { KEYS, linePlaces, type LinePlace, type PageLine } from '@spillway/core';
import { mapConcurrent } from '@spillway/runtime';
import { Lru } from './lru.ts';
import { readFooterOf } from './page-file.ts';
import type { Storage } from './storage.ts';

/** Where the lines of so many pages lie is remembered: some 30 kB a page. */
const MAX_PLACES_BYTES = 8 * 1024 * 1024;
const PLACE_BYTES = 120;

/** Lines of a page are read by this many at a time. */
const MAX_READS = 8;

/** Reads single lines of sealed pages, without the others. */
export class PageLines {
  readonly #storage: Storage;
  /** Of a page whose footer does not say where they lie: none. */
  readonly #places = new Lru<readonly LinePlace[]>(MAX_PLACES_BYTES, (places) => PLACE_BYTES * (1 + places.length));

  constructor(storage: Storage) {
    this.#storage = storage;
  }

  /**
   * Lines of a page by their documents' places; null: the page is not in storage. Of those that cannot be read by
   * themselves, as of a page that the version before sealed, there is none.
   */
  async read(batch: string, page: number, wanted: Iterable<number>): Promise<Map<number, PageLine> | null> {
    const key = KEYS.page(batch, page);
    let places = this.#places.get(key);
    if (places === undefined) {
      const footer = await readFooterOf(this.#storage, batch, page);
      if (footer === null) return null;
      places = linePlaces(footer) ?? [];
      this.#places.set(key, places);
    }
    const lines = new Map<number, PageLine>();
    await mapConcurrent(wanted, MAX_READS, async (place) => {
      const at = places[place];
      const bytes = at === undefined ? null : await this.#storage.read(key, at);
      if (at === undefined || bytes === null) return;
      lines.set(place, {
        part: at.part,
        text: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString(),
      });
    });
    return lines;
  }
}
