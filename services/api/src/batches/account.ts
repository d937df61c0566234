import {
  addCounts,
  KEYS,
  LIMITS,
  Lru,
  NO_COUNTS,
  readFooter,
  Waits,
  type Account,
  type Counts,
  type Manifest,
} from '@spillway/core';
import { pagesInHand, readWaits, sealedPages } from '@spillway/redis';
import type { Api } from '../api.ts';
import { readLive } from './live.ts';

/** Batches whose sealed pages are kept summed up; each takes at most some tens of kilobytes. */
const KEPT_BYTES = 16 * 1024 * 1024;
const SUM_BYTES = 64 * 1024;
const READ_AT_ONCE = 16;

/** The footers of a batch's sealed pages, as far as they were read. They never change, so each is read once. */
type Sums = { readonly pages: Set<number>; counts: Counts; readonly waits: Waits };

/** Reads how far batches are, and what they cost, from their pages. */
export class Accounts {
  readonly #sums = new Lru<Sums>(KEPT_BYTES, () => SUM_BYTES);

  /** The account of a batch in work or ended; what Redis cannot tell now is left out. */
  async read(api: Api, manifest: Manifest): Promise<Account> {
    const { id } = manifest;
    const final = await api.records.final(id);
    if (final !== null) return { total: final.total, counts: final.counts, waits: Waits.read(final.waits) };
    const plan = await api.records.validated(id);
    const pages = plan?.pages.length ?? 0;
    const live = await readLive(api, id);
    if (live.kind !== 'live') {
      const { counts, waits } = await this.#sealed(
        api,
        id,
        Array.from({ length: pages }, (_, page) => page),
      );
      return { total: plan?.total ?? 0, counts, waits: copyOf(waits) };
    }
    // The open ones first: a page that is sealed meanwhile is then taken from its footer alone.
    const open = (await pagesInHand(api.board)).filter(({ batch }) => batch === id);
    const openWaits = await Promise.all(
      open.map(async ({ page }) => ({ page, waits: await readWaits(api.board, id, page) })),
    );
    const sealed = await sealedPages(api.board, id, pages);
    const waits = copyOf((await this.#sealed(api, id, sealed)).waits);
    for (const { page, waits: own } of openWaits) if (!sealed.includes(page)) waits.merge(own);
    return { total: live.state.total, counts: live.state.counts, waits };
  }

  /** The sums over those of these pages that stand in storage. */
  async #sealed(api: Api, batch: string, pages: readonly number[]): Promise<Sums> {
    const sums = this.#sums.get(batch) ?? { pages: new Set<number>(), counts: NO_COUNTS, waits: new Waits() };
    this.#sums.set(batch, sums);
    const unread = pages.filter((page) => !sums.pages.has(page));
    for (let from = 0; from < unread.length; from += READ_AT_ONCE) {
      const some = unread.slice(from, from + READ_AT_ONCE);
      const footers = await Promise.all(some.map((page) => footerOf(api, batch, page)));
      for (const [index, footer] of footers.entries()) {
        const page = some[index];
        // Another request may have read the same page meanwhile.
        if (footer === null || page === undefined || sums.pages.has(page)) continue;
        sums.pages.add(page);
        sums.counts = addCounts(sums.counts, footer.counts);
        sums.waits.merge(Waits.read(footer.waits));
      }
    }
    return sums;
  }
}

function copyOf(waits: Waits): Waits {
  const copy = new Waits();
  copy.merge(waits);
  return copy;
}

/** The footer of a page, or null while it does not stand in storage. */
export async function footerOf(api: Api, batch: string, page: number) {
  const key = KEYS.page(batch, page);
  const size = await api.storage.size(key);
  if (size === null) return null;
  const end = await api.storage.read(key, { start: Math.max(0, size - LIMITS.footerBytes), end: size });
  const footer = end === null ? null : readFooter(end);
  if (footer === null) throw new Error(`The page ${key} in storage has no footer`);
  return footer;
}
