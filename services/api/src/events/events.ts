import { Readable } from 'node:stream';
import { jsonLine, type BatchObject } from '@spillway/core';
import { LateError, within } from '@spillway/runtime';
import type { FastifyReply } from 'fastify';
import { listBatches } from '../batches/list.ts';
import { showBatch, type BatchSources } from '../batches/show.ts';
import { tooMany } from '../errors.ts';
import { onceGone } from '../gone.ts';
import { ownBatch } from '../ownership.ts';
import { TenantShares } from '../tenant-shares.ts';
import type { Storage } from '@spillway/storage';
import { Broadcast, type Shown } from './broadcast.ts';

/** Batches of a tenant that one sees change, newest first. */
const LISTED = 50;

/** Streams of a process at a time, and how long one lasts: a key that was taken away sees no more for ever. */
const MAX_STREAMS = 1_000;
const MAX_STREAM_MS = 10 * 60_000;

/** So often something is sent, so that nothing in between takes the connection for dead. */
const ALIVE_MS = 15_000;

/** A stream that ends is asked for again after so long. */
const AGAIN_MS = 2_000;

/** Where there are too many, one may be free after so long. */
const BUSY_SECONDS = 10;

type EventSources = BatchSources & { readonly storage: Storage };

/** What a stream shows: to whom, under which name it is shared, what its events are called, and what is in them. */
type Streamed = {
  readonly tenant: string;
  readonly name: string;
  readonly event?: string;
  readonly read: () => Promise<Shown>;
};

type EventsOptions = {
  readonly sources: EventSources;
  /** Aborted when the API ends: streams end then, and their clients come back. */
  readonly signal: AbortSignal;
  readonly isShared: boolean;
};

/** Streams of what changes, as server-sent events. Whoever watches the same thing shares one reading of it. */
export class BatchEvents {
  readonly #options: EventsOptions;
  readonly #broadcasts = new Map<string, Broadcast>();
  readonly #streams: TenantShares;

  constructor(options: EventsOptions) {
    this.#options = options;
    this.#streams = new TenantShares(MAX_STREAMS, options);
  }

  /** The newest batches of a tenant: all of them, then whichever changed. */
  ofTenant(tenant: string, reply: FastifyReply): Readable {
    const { sources } = this.#options;
    return this.#stream(reply, {
      tenant,
      name: `tenant ${tenant}`,
      read: async () => {
        const { data } = await listBatches(sources, tenant, { limit: LISTED, after: undefined });
        return shown(data.toReversed());
      },
    });
  }

  /** What somebody reads, by name, whenever it changes; whoever may read it sees the same. */
  ofAll(
    tenant: string,
    reply: FastifyReply,
    { event, read }: { readonly event: string; readonly read: () => Promise<Shown> },
  ): Readable {
    return this.#stream(reply, { tenant, name: event, event, read });
  }

  /** One batch, whenever it changes. */
  async ofBatch(tenant: string, id: string, reply: FastifyReply): Promise<Readable> {
    const { sources } = this.#options;
    await ownBatch(sources.records, tenant, id);
    return this.#stream(reply, {
      tenant,
      name: `batch ${id}`,
      read: async () => shown([await showBatch(sources, tenant, id)]),
    });
  }

  #broadcast(name: string, read: () => Promise<Shown>): Broadcast {
    const known = this.#broadcasts.get(name);
    if (known !== undefined) return known;
    const onIdle = (): void => {
      if (this.#broadcasts.get(name) === broadcast) this.#broadcasts.delete(name);
    };
    const broadcast = new Broadcast({ read, onIdle });
    this.#broadcasts.set(name, broadcast);
    return broadcast;
  }

  #stream(reply: FastifyReply, { tenant, name, event = 'batch', read }: Streamed): Readable {
    if (this.#streams.take(tenant, 1) !== null) {
      throw tooMany('There are too many streams of events. Close some.', BUSY_SECONDS, 'too_many_streams');
    }
    const broadcast = this.#broadcast(name, read);
    const gone = new AbortController();
    onceGone(reply, () => {
      gone.abort();
      this.#streams.giveBack(tenant, 1);
    });
    const signal = AbortSignal.any([this.#options.signal, AbortSignal.timeout(MAX_STREAM_MS), gone.signal]);
    reply.type('text/event-stream').header('cache-control', 'no-store').header('x-accel-buffering', 'no');
    return Readable.from(textOf(broadcast, event, signal), { objectMode: false });
  }
}

const shown = (batches: readonly BatchObject[]): Shown => new Map(batches.map((batch) => [batch.id, jsonLine(batch)]));

async function* textOf(broadcast: Broadcast, event: string, signal: AbortSignal): AsyncGenerator<string> {
  yield `retry: ${AGAIN_MS}\n\n`;
  const changes = broadcast.watch(signal);
  try {
    for (let next = changes.next(); ;) {
      const found = await soon(next);
      if (found === null) yield ':\n\n';
      else if (found.done === true) return;
      else {
        yield `event: ${event}\ndata: ${found.value}\n\n`;
        next = changes.next();
      }
    }
  } finally {
    await changes.return(undefined);
  }
}

/** What comes before something is sent again; null: nothing did yet. */
async function soon<Value>(work: Promise<Value>): Promise<Value | null> {
  try {
    return await within(ALIVE_MS, work);
  } catch (error) {
    if (error instanceof LateError) return null;
    throw error;
  }
}
