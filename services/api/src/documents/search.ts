import { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { holding, LIMITS, resultFields, type Condition, type Fields } from '@spillway/core';
import { StorageError, type Records } from '@spillway/storage';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { conditionOf } from '../condition.ts';
import { chainOf, isWhole, linkOf, type Link } from '../batches/chain.ts';
import { ApiError, invalidValue, tooMany, unavailable } from '../errors.ts';
import { onceGone } from '../gone.ts';
import { ownBatch } from '../ownership.ts';
import { after, limit, text, withRetries } from '../schemas/parts.ts';
import { TenantShares } from '../tenant-shares.ts';
import { knownLines, lineOf, type LineSources } from './known-lines.ts';
import { LeastSure } from './least-sure.ts';
import { readLine } from './read-line.ts';
import { Reviews } from './reviews.ts';

export const searchQuery = z.object({
  where: text(LIMITS.conditionCharacters).optional().meta({
    description:
      'A condition on the fields of a result, such as `confidence < .8 and answer ~ "due at once"`; without it every result is found.',
  }),
  sort: z.enum(['input', 'confidence']).optional().meta({
    description:
      '`input` (the default) sends what is found in input order, as it is found; `confidence` looks at all documents first, and sends the least sure ones first.',
  }),
  limit: limit({ least: 1, most: 1_000, fallback: 100 }),
  after,
  with: withRetries,
});

type Query = z.output<typeof searchQuery>;

type Sources = LineSources & { readonly records: Records };

/** Searches of a process at a time, and what one that is too many is told. */
const MAX_SEARCHES = 8;
const BUSY_SECONDS = 5;

/** One search looks no longer than this; its cursor goes on. */
const MAX_SEARCH_MS = 10 * 60_000;

/** What is searched is told so often, and so long somebody looks before others have their turn. */
const TOLD_EVERY_MS = 250;
const TURN_MS = 10;

/** Looks through the results of batches, and sends what is found as server-sent events. */
export class Searches {
  readonly #sources: Sources;
  readonly #running: TenantShares;
  readonly #signal: AbortSignal;

  constructor(
    sources: Sources,
    options: {
      readonly isShared: boolean;
      /** Aborted when the API ends: searches end then, and their clients go on by their cursors. */
      readonly signal: AbortSignal;
    },
  ) {
    this.#sources = sources;
    this.#signal = options.signal;
    this.#running = new TenantShares(MAX_SEARCHES, options);
  }

  async search(
    tenant: string,
    { id, query, reply }: { readonly id: string; readonly query: Query; readonly reply: FastifyReply },
  ): Promise<Readable> {
    const { records } = this.#sources;
    await ownBatch(records, tenant, id);
    const condition = query.where === undefined ? null : conditionOf(query.where, 'where');
    const link = query.with === undefined ? await linkOf(records, id) : await chainOf(records, tenant, id);
    const from = readCursor(query, link);
    if (this.#running.take(tenant, 1) !== null) {
      throw tooMany('There are too many searches. Wait for one to end.', BUSY_SECONDS, 'too_many_searches');
    }
    const gone = new AbortController();
    onceGone(reply, () => {
      gone.abort();
      this.#running.giveBack(tenant, 1);
    });
    reply.type('text/event-stream').header('cache-control', 'no-store').header('x-accel-buffering', 'no');
    const signal = AbortSignal.any([gone.signal, this.#signal]);
    const search = new Search(this.#sources, { link, condition, from, query, signal });
    return Readable.from(textOf(search.run()), { objectMode: false });
  }
}

const CURSOR = /^r_(\d{1,9})$/;

function readCursor({ after: cursor, sort }: Query, { validated }: Link): number {
  if (cursor === undefined) return 0;
  const document = Number(CURSOR.exec(cursor)?.[1] ?? Number.NaN);
  if (document <= (validated?.total ?? 0) && sort !== 'confidence') return document;
  const expected =
    sort === 'confidence' ? "nothing: what is sorted has no 'after'" : "the 'cursor' of an earlier search";
  throw invalidValue('after', cursor, expected);
}

type Event =
  | { readonly event: 'result'; readonly document: number; readonly line: Buffer }
  | { readonly event: 'searched' | 'end' | 'error'; readonly data: object };

/** A line that is wanted. */
type Match = { readonly document: number; readonly line: Buffer; readonly confidence: unknown };

type Asked = {
  readonly link: Link;
  readonly condition: Condition | null;
  readonly from: number;
  readonly query: Query;
  readonly signal: AbortSignal;
};

class Search {
  readonly #sources: Sources;
  readonly #asked: Asked;
  readonly #beganMs = performance.now();
  #turnMs = performance.now();
  #toldMs = performance.now();
  /** The document behind those that were looked at. */
  #next: number;
  #found = 0;

  constructor(sources: Sources, asked: Asked) {
    this.#sources = sources;
    this.#asked = asked;
    this.#next = asked.from;
  }

  async *run(): AsyncGenerator<Event> {
    const { query } = this.#asked;
    try {
      yield* query.sort === 'confidence' ? this.#leastSure() : this.#inOrder();
    } catch (error) {
      // The head is sent: what went wrong is said in the stream.
      const told =
        error instanceof StorageError ? unavailable('The storage cannot be read. Try again in a moment.') : error;
      if (!(told instanceof ApiError)) throw error;
      yield { event: 'error', data: told.envelope };
    }
  }

  async *#inOrder(): AsyncGenerator<Event> {
    const { query } = this.#asked;
    for await (const found of this.#matches()) {
      if ('event' in found) {
        yield found;
        continue;
      }
      yield { event: 'result', ...found };
      if (this.#found === query.limit) break;
    }
    const hasMore = this.#isCut(query) && this.#next < this.#total;
    yield {
      event: 'end',
      data: { ...this.#progress(), cursor: `r_${this.#next}`, has_more: hasMore, complete: this.#isAll },
    };
  }

  async *#leastSure(): AsyncGenerator<Event> {
    const { query } = this.#asked;
    const least = new LeastSure(query.limit);
    for await (const found of this.#matches()) {
      if ('event' in found) yield found;
      else least.add(found.document, found.confidence);
    }
    for (const document of least.documents()) {
      if (this.#asked.signal.aborted) return;
      const line = await this.#lineOf(document);
      if (line !== null) yield { event: 'result', document, line };
    }
    yield { event: 'end', data: { ...this.#progress(), cursor: null, has_more: false, complete: this.#isAll } };
  }

  async #lineOf(document: number): Promise<Buffer | null> {
    const { link } = this.#asked;
    const line = await lineOf(this.#sources, link, document);
    return line === null ? null : await Reviews.ofOne(this.#sources.storage, link.id, document).join(document, line);
  }

  /** Whether a condition holds, which a long answer may make long. */
  async #holds(condition: Condition, fields: Fields): Promise<boolean> {
    const work = holding(condition, fields);
    for (let step = work.next(); ; step = work.next()) {
      if (step.done === true) return step.value;
      if (performance.now() - this.#turnMs < TURN_MS) continue;
      await setImmediate();
      this.#turnMs = performance.now();
      if (this.#asked.signal.aborted) return false;
    }
  }

  /** Every line that is wanted, and now and then how far the search is. */
  async *#matches(): AsyncGenerator<Event | Match> {
    const { link, from, condition, signal } = this.#asked;
    yield { event: 'searched', data: this.#progress() };
    const reviews = await Reviews.of(this.#sources.storage, link.id, from);
    for await (const { document, bytes: known } of knownLines(this.#sources, link, from)) {
      if (signal.aborted || this.#isLate) return;
      this.#next = document + 1;
      if (known !== null) {
        const bytes = await reviews.join(document, known);
        const fields = resultFields(await readLine(bytes));
        if (condition === null || (await this.#holds(condition, fields))) {
          this.#found += 1;
          yield { document, line: bytes, confidence: fields('confidence') };
        }
      }
      if (performance.now() - this.#turnMs < TURN_MS) continue;
      await setImmediate();
      this.#turnMs = performance.now();
      if (this.#turnMs - this.#toldMs < TOLD_EVERY_MS) continue;
      this.#toldMs = this.#turnMs;
      yield { event: 'searched', data: this.#progress() };
    }
  }

  get #total(): number {
    return this.#asked.link.validated?.total ?? 0;
  }

  /** Whether every document was looked at, and none has another result later. */
  get #isAll(): boolean {
    return this.#next >= this.#total && isWhole(this.#asked.link);
  }

  #progress(): { searched: number; of: number; found: number } {
    return { searched: this.#next, of: this.#total, found: this.#found };
  }

  get #isLate(): boolean {
    return performance.now() - this.#beganMs >= MAX_SEARCH_MS;
  }

  /** Whether there was more to look at already. */
  #isCut({ limit: most }: Query): boolean {
    return this.#found >= most || this.#asked.signal.aborted || this.#isLate;
  }
}

async function* textOf(events: AsyncGenerator<Event>): AsyncGenerator<string | Uint8Array> {
  for await (const one of events) {
    if (one.event === 'result') {
      // Where a search that was cut off goes on.
      yield `id: r_${one.document + 1}\nevent: result\ndata: `;
      yield one.line;
      yield '\n\n';
    } else {
      yield `event: ${one.event}\ndata: ${JSON.stringify(one.data)}\n\n`;
    }
  }
}
