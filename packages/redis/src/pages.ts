import {
  countPage,
  readCounts,
  readDocumentCounts,
  readTimes,
  Waits,
  writeCounts,
  type Counts,
  type DocumentCounts,
  type DocumentJob,
  type Miscounted,
  type PageFooter,
  type PageLine,
  type PagePlan,
  type Said,
} from '@spillway/core';
import { countsIn } from './counts.ts';
import type { Recovery } from './epoch.ts';
import { pageMember, parsePageMember } from './keys.ts';
import { Script } from './script.ts';
import { decodeResult, pageField } from './settle.ts';
import type { RedisStore } from './store.ts';
import { readSaid } from './words.ts';

/** Pages are dropped by this many at a time: Redis does nothing else meanwhile. */
const PAGES_AT_A_TIME = 256;

const enqueueScript = new Script('enqueue_page');
const advanceScript = new Script('advance');
const sealScript = new Script('seal', 'counters');
const lostScript = new Script('lost', 'has_left', 'bundled');
const rewriteScript = new Script('rewrite_page');
const chargeScript = new Script('charge_page');

/**
 * Enqueues a page, taking capacity for `costBytes`. AGAIN: it was enqueued before, and its documents may have jobs.
 * SEALED: it stands in storage already.
 */
export async function enqueuePage(
  redis: RedisStore,
  batch: string,
  page: number,
  plan: PagePlan,
  costBytes: number,
): Promise<'ENQUEUED' | 'AGAIN' | 'SEALED' | 'CLOSED' | 'RECOVERING'> {
  const { keys, client } = redis;
  const answer = await enqueueScript.run(
    client,
    [keys.epoch, keys.batch(batch), keys.sealed(batch), keys.page(batch, page), keys.inFlight],
    [page, plan.documents, costBytes, pageMember(batch, page)],
  );
  return answer as 'ENQUEUED' | 'AGAIN' | 'SEALED' | 'CLOSED' | 'RECOVERING';
}

/** Charges to a page in flight what its jobs hold beside its input, as each hand-off does. */
export async function chargePage({ keys, client }: RedisStore, batch: string, page: number, bytes: number) {
  await chargeScript.run(client, [keys.inFlight], [pageMember(batch, page), bytes]);
}

/** Moves a batch's enqueueing from one document to another, unless somebody else moved it. */
export async function advance(
  redis: RedisStore,
  batch: string,
  from: number,
  to: number,
): Promise<'ADVANCED' | 'STALE' | 'RECOVERING'> {
  const { keys, client } = redis;
  const answer = await advanceScript.run(client, [keys.epoch, keys.batch(batch)], [from, to]);
  return answer as 'ADVANCED' | 'STALE' | 'RECOVERING';
}

/** The pages whose every document is settled. */
export async function fullPages(redis: RedisStore): Promise<{ batch: string; page: number }[]> {
  return (await redis.client.smembers(redis.keys.full)).map(parsePageMember);
}

/** The bytes in flight of some pages: of their input, their drafts and their results. */
export async function bytesInFlight(
  { client, keys }: RedisStore,
  pages: readonly { readonly batch: string; readonly page: number }[],
): Promise<number[]> {
  if (pages.length === 0) return [];
  const bytes = await client.hmget(keys.inFlight, ...pages.map(({ batch, page }) => pageMember(batch, page)));
  return bytes.map(Number);
}

/** Enqueued, unsealed pages and the bytes of their input and results. */
export async function pagesInFlight(redis: RedisStore): Promise<{ batch: string; page: number; bytes: number }[]> {
  const all = await redis.client.hgetall(redis.keys.inFlight);
  return Object.entries(all).map(([member, bytes]) => ({ ...parsePageMember(member), bytes: Number(bytes) }));
}

/** The results of a page so far, by place, their counts, what the servers said first of those, their waits. */
export type PageResults = {
  readonly lines: ReadonlyMap<number, PageLine>;
  /** What the stages made of the documents, as far as it is known. */
  readonly kept: ReadonlyMap<number, string>;
  /** What the results say of themselves. */
  readonly counts: Counts;
  /** Where Redis had counted something else while they came; null: nowhere. */
  readonly miscounted: Miscounted | null;
  readonly said: Said;
  readonly waits: Waits;
};

export async function readPage(redis: RedisStore, batch: string, page: number): Promise<PageResults> {
  const hash = await redis.client.hgetall(redis.keys.page(batch, page));
  const lines = new Map<number, PageLine>();
  const kept = new Map<number, string>();
  const ofDocuments = new Map<number, DocumentCounts>();
  for (const [name, value] of Object.entries(hash)) {
    const field = pageField(name);
    if (field?.of === 'line') lines.set(field.place, decodeResult(value));
    if (field?.of === 'kept') kept.set(field.place, value);
    const counts = field?.of === 'counts' ? readDocumentCounts(value) : null;
    if (field !== null && counts !== null) ofDocuments.set(field.place, counts);
  }
  const { counts, miscounted } = countPage({ lines, ofDocuments, counted: countsIn(hash, '#') });
  const said = await readSaid(redis, batch, Object.keys(writeCounts(counts).reasons));
  return { lines, kept, counts, miscounted, said, waits: await readWaits(redis, batch, page) };
}

/** How many documents of an open page are settled; null: Redis has no such page. */
export async function settledIn({ client, keys }: RedisStore, batch: string, page: number): Promise<number | null> {
  const [size, done] = await client.hmget(keys.page(batch, page), '#size', '#done');
  return size == null ? null : Number(done ?? 0);
}

/** The results of some documents of an open page, by place, as far as there are any. */
export async function readResults(
  { client, keys }: RedisStore,
  batch: string,
  page: number,
  places: readonly number[],
): Promise<Map<number, PageLine>> {
  const results = await client.hmget(keys.page(batch, page), ...places.map(String));
  return new Map(
    places.flatMap((place, at): [number, PageLine][] => {
      const text = results[at];
      return text == null ? [] : [[place, decodeResult(text)]];
    }),
  );
}

/** The waits of the results that an open page has so far. */
export async function readWaits(redis: RedisStore, batch: string, page: number): Promise<Waits> {
  const waits = new Waits();
  for (const text of await redis.client.hvals(redis.keys.times(batch, page))) {
    const times = readTimes(text);
    if (times !== null) waits.add(times);
  }
  return waits;
}

/** Writes an open page anew during a recovery, so that nothing of a cut append-only file is added to it at the next start. */
export async function rewritePage(redis: RedisStore, recovery: Recovery, batch: string, page: number): Promise<void> {
  const { keys, client } = redis;
  await rewriteScript.run(client, [keys.recovery, keys.page(batch, page), keys.times(batch, page)], [recovery.token]);
}

/** Those documents of one open page that have no result. */
export async function withoutResult<Document extends Pick<DocumentJob, 'batch' | 'page' | 'place'>>(
  { client, keys }: RedisStore,
  documents: readonly Document[],
): Promise<Document[]> {
  const [first] = documents;
  if (first === undefined) return [];
  const results = await client.hmget(keys.page(first.batch, first.page), ...documents.map(({ place }) => `${place}`));
  return documents.filter((_, at) => results[at] === null);
}

/** Drops a page that stands in storage; the footer's counts are the ones that count. */
export async function markSealed(
  redis: RedisStore,
  batch: string,
  footer: PageFooter,
): Promise<'SEALED' | 'ALREADY' | 'GONE'> {
  const { keys, client } = redis;
  const sums = Object.entries(readCounts(footer)).flat();
  const answer = await sealScript.run(
    client,
    [
      keys.batch(batch),
      keys.sealed(batch),
      keys.page(batch, footer.page),
      keys.inFlight,
      keys.full,
      keys.times(batch, footer.page),
    ],
    [footer.page, pageMember(batch, footer.page), keys.wake, ...sums],
  );
  return answer as 'SEALED' | 'ALREADY' | 'GONE';
}

/** The sealed ones of a batch's pages, in order. */
export async function sealedPages(redis: RedisStore, batch: string, pages: number): Promise<number[]> {
  const bits = await redis.client.getBuffer(redis.keys.sealed(batch));
  const isSet = (page: number): boolean => (((bits?.[page >> 3] ?? 0) >> (7 - (page & 7))) & 1) === 1;
  return Array.from({ length: pages }, (_, page) => page).filter(isSet);
}

/**
 * Places of enqueued documents of a page that have neither a result nor a job in any state: what a sweep enqueues again.
 * A page with every result counts as full from then on.
 */
export async function lostDocuments(
  redis: RedisStore,
  batch: string,
  page: number,
  where: { first: number; enqueuedDocuments: number; tiers: readonly string[] },
): Promise<number[]> {
  const { keys, client } = redis;
  const answer = await lostScript.run(
    client,
    [keys.sealed(batch), keys.page(batch, page), keys.full],
    [
      page,
      batch,
      where.first,
      where.enqueuedDocuments,
      pageMember(batch, page),
      ...where.tiers.map((tier) => keys.queue(tier)),
    ],
  );
  return answer as number[];
}

/** Drops what a page left behind that belongs to no batch in work. */
export async function dropPage(redis: RedisStore, batch: string, page: number): Promise<void> {
  const { keys, client } = redis;
  const member = pageMember(batch, page);
  await Promise.all([
    client.del(keys.page(batch, page), keys.times(batch, page)),
    client.hdel(keys.inFlight, member),
    client.srem(keys.full, member),
  ]);
}

/** Drops what the pages of an ended batch left behind. */
export async function dropPages(redis: RedisStore, batch: string, pages: number): Promise<void> {
  const { keys, client } = redis;
  for (let from = 0; from < pages; from += PAGES_AT_A_TIME) {
    const some = Array.from({ length: Math.min(PAGES_AT_A_TIME, pages - from) }, (_, at) => from + at);
    const members = some.map((page) => pageMember(batch, page));
    await Promise.all([
      client.del(...some.flatMap((page) => [keys.page(batch, page), keys.times(batch, page)])),
      client.hdel(keys.inFlight, ...members),
      client.srem(keys.full, ...members),
    ]);
  }
}
