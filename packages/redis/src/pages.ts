import {
  COUNTERS,
  jobIdOf,
  readTimes,
  Waits,
  type Counts,
  type PageFooter,
  type PageLine,
  type PagePlan,
} from '@spillway/core';
import type { Board } from './board.ts';
import { pageMember, parsePageMember } from './keys.ts';
import { Script } from './script.ts';
import { decodeResult } from './settle.ts';

const beginScript = new Script('begin_page');
const advanceScript = new Script('advance');
const sealScript = new Script('seal');
const lostScript = new Script('lost');

/** Begins a page, taking room for `costBytes`. SEALED: it stands in storage already. */
export async function beginPage(
  board: Board,
  batch: string,
  page: number,
  plan: PagePlan,
  costBytes: number,
): Promise<'BEGUN' | 'SEALED' | 'CLOSED' | 'RECOVERING'> {
  const { keys, client } = board;
  const answer = await beginScript.run(
    client,
    [keys.epoch, keys.batch(batch), keys.sealed(batch), keys.page(batch, page), keys.inHand],
    [page, plan.documents, costBytes, pageMember(batch, page)],
  );
  return answer as 'BEGUN' | 'SEALED' | 'CLOSED' | 'RECOVERING';
}

/** Moves a batch's feeding from one document to another, unless somebody else moved it. */
export async function advance(
  board: Board,
  batch: string,
  from: number,
  to: number,
): Promise<'ADVANCED' | 'STALE' | 'RECOVERING'> {
  const { keys, client } = board;
  const answer = await advanceScript.run(client, [keys.epoch, keys.batch(batch)], [from, to]);
  return answer as 'ADVANCED' | 'STALE' | 'RECOVERING';
}

/** The pages whose every document is settled. */
export async function fullPages(board: Board): Promise<{ batch: string; page: number }[]> {
  return (await board.client.smembers(board.keys.full)).map(parsePageMember);
}

/** Begun, unsealed pages and the bytes of their input and results. */
export async function pagesInHand(board: Board): Promise<{ batch: string; page: number; bytes: number }[]> {
  const all = await board.client.hgetall(board.keys.inHand);
  return Object.entries(all).map(([member, bytes]) => ({ ...parsePageMember(member), bytes: Number(bytes) }));
}

/** The results of a page so far, by place, the sums of their counts, and their waits. */
export type PageResults = {
  readonly lines: ReadonlyMap<number, PageLine>;
  readonly counts: Counts;
  readonly waits: Waits;
};

export async function readPage(board: Board, batch: string, page: number): Promise<PageResults> {
  const hash = await board.client.hgetall(board.keys.page(batch, page));
  const lines = new Map<number, PageLine>();
  for (const [name, value] of Object.entries(hash)) {
    if (!name.startsWith('#')) lines.set(Number(name), decodeResult(value));
  }
  const counts = Object.fromEntries(COUNTERS.map((name) => [name, Number(hash[`#${name}`] ?? 0)])) as Counts;
  return { lines, counts, waits: await readWaits(board, batch, page) };
}

/** The waits of the results that an open page has so far. */
export async function readWaits(board: Board, batch: string, page: number): Promise<Waits> {
  const waits = new Waits();
  for (const text of await board.client.hvals(board.keys.times(batch, page))) {
    const times = readTimes(text);
    if (times !== null) waits.add(times);
  }
  return waits;
}

/** Drops a page that stands in storage; the footer's counts are the ones that count. */
export async function markSealed(
  board: Board,
  batch: string,
  footer: PageFooter,
): Promise<'SEALED' | 'ALREADY' | 'GONE'> {
  const { keys, client } = board;
  const sums = COUNTERS.flatMap((name) => [name, footer.counts[name]]);
  const answer = await sealScript.run(
    client,
    [
      keys.batch(batch),
      keys.sealed(batch),
      keys.page(batch, footer.page),
      keys.inHand,
      keys.full,
      keys.times(batch, footer.page),
    ],
    [footer.page, pageMember(batch, footer.page), keys.wake, ...sums],
  );
  return answer as 'SEALED' | 'ALREADY' | 'GONE';
}

/** The sealed ones of a batch's pages, in order. */
export async function sealedPages(board: Board, batch: string, pages: number): Promise<number[]> {
  const bits = await board.client.getBuffer(board.keys.sealed(batch));
  const isSet = (page: number): boolean => (((bits?.[page >> 3] ?? 0) >> (7 - (page & 7))) & 1) === 1;
  return Array.from({ length: pages }, (_, page) => page).filter(isSet);
}

/** Places of fed documents of a page that have neither a result nor a job: what a sweep feeds again. */
export async function lostDocuments(
  board: Board,
  batch: string,
  page: number,
  where: { first: number; fedDocuments: number; queues: readonly string[] },
): Promise<number[]> {
  const { keys, client } = board;
  const answer = await lostScript.run(
    client,
    [keys.sealed(batch), keys.page(batch, page)],
    [page, batch, where.first, where.fedDocuments, ...where.queues.map((queue) => keys.queue(queue))],
  );
  return answer as number[];
}

/** Drops what a page left behind that belongs to no batch in work. */
export async function dropPage(board: Board, batch: string, page: number): Promise<void> {
  const { keys, client } = board;
  const member = pageMember(batch, page);
  await Promise.all([
    client.del(keys.page(batch, page), keys.times(batch, page)),
    client.hdel(keys.inHand, member),
    client.srem(keys.full, member),
  ]);
}

/** The job ids of some places of a page. */
export const jobIds = (batch: string, first: number, places: readonly number[]): string[] =>
  places.map((place) => jobIdOf(batch, first + place));
