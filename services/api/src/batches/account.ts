import {
  addCounts,
  addSaid,
  NO_COUNTS,
  pageOfDocument,
  readCounts,
  Waits,
  type Account,
  type Counts,
  type Manifest,
  type Said,
} from '@spillway/core';
import { readWaits, sealedPages } from '@spillway/redis';
import { mapConcurrent } from '@spillway/runtime';
import { Lru, readFooterOf, type Records, type Storage } from '@spillway/storage';
import { readLive, type LoggedRedis } from './live.ts';

/** Batches whose sealed pages are remembered summed up; each takes at most some tens of kilobytes. */
const MAX_REMEMBERED_BYTES = 16 * 1024 * 1024;
const SUM_BYTES = 64 * 1024;
const MAX_CONCURRENT_READS = 16;

/** The footers of a batch's sealed pages, as far as they were read. They never change, so each is read once. */
type Sums = { readonly pages: Set<number>; counts: Counts; said: Said; readonly waits: Waits };

/** How far a batch is, what it has cost and how long its documents waited. */
export type BatchAccount = Omit<Account, 'stages'>;

type Sources = LoggedRedis & { readonly storage: Storage; readonly records: Records };

/** Reads the accounts of batches from their pages: the sealed ones in storage, the open ones in Redis. */
export class Accounts {
  readonly #sources: Sources;
  readonly #sums = new Lru<Sums>(MAX_REMEMBERED_BYTES, () => SUM_BYTES);

  constructor(sources: Sources) {
    this.#sources = sources;
  }

  /** The account of a batch in work or ended; what Redis cannot say now is left out. */
  async read({ id }: Manifest): Promise<BatchAccount> {
    const { records } = this.#sources;
    const final = await records.final(id);
    if (final !== null) {
      const { total, said = {} } = final;
      return { total, counts: readCounts(final), said, waits: Waits.read(final) };
    }
    const validated = await records.validated(id);
    const pages = validated?.pages.length ?? 0;
    const live = await readLive(this.#sources, id);
    if (live.kind === 'live') {
      const { total, counts, said, enqueued } = live.state;
      // And the one that is being enqueued now.
      const enqueuedPages = Math.min(pages, (pageOfDocument(validated?.pages ?? [], enqueued) ?? pages) + 1);
      return { total, counts, said, waits: await this.#waitsInWork(id, enqueuedPages) };
    }
    const all = Array.from({ length: pages }, (_, page) => page);
    const { counts, said, waits } = await this.#sealed(id, all);
    return { total: validated?.total ?? 0, counts, said, waits: copyOf(waits) };
  }

  /** The waits of a batch in work, from its open pages and its sealed ones; `pages` of it are enqueued. */
  async #waitsInWork(id: string, pages: number): Promise<Waits> {
    const { redis } = this.#sources;
    const before = new Set(await sealedPages(redis, id, pages));
    const open = Array.from({ length: pages }, (_, page) => page).filter((page) => !before.has(page));
    // The open ones first: a page that is sealed meanwhile is then taken from its footer only.
    const openWaits = await mapConcurrent(open, MAX_CONCURRENT_READS, async (page) => ({
      page,
      waits: await readWaits(redis, id, page),
    }));
    const sealed = await sealedPages(redis, id, pages);
    const isSealed = new Set(sealed);
    const waits = copyOf((await this.#sealed(id, sealed)).waits);
    for (const { page, waits: own } of openWaits) if (!isSealed.has(page)) waits.merge(own);
    return waits;
  }

  /** The sums over those of these pages that stand in storage. */
  async #sealed(batch: string, pages: readonly number[]): Promise<Sums> {
    const none: Sums = { pages: new Set<number>(), counts: NO_COUNTS, said: {}, waits: new Waits() };
    const sums = this.#sums.get(batch) ?? none;
    this.#sums.set(batch, sums);
    const unread = pages.filter((page) => !sums.pages.has(page));
    // Summed up as they come: the footers of a large batch together would take tens of megabytes.
    await mapConcurrent(unread, MAX_CONCURRENT_READS, async (page) => {
      const footer = await readFooterOf(this.#sources.storage, batch, page);
      // Another request may have read the same page meanwhile.
      if (footer === null || sums.pages.has(page)) return;
      sums.pages.add(page);
      sums.counts = addCounts(sums.counts, readCounts(footer));
      sums.said = addSaid(sums.said, footer.said ?? {});
      sums.waits.merge(Waits.read(footer));
    });
    return sums;
  }
}

function copyOf(waits: Waits): Waits {
  const copy = new Waits();
  copy.merge(waits);
  return copy;
}
