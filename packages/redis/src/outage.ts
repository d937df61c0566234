import { pause, within, type Log } from '@spillway/runtime';
import type { RedisClient } from './client.ts';
import type { Keys } from './keys.ts';

/** A write that changes nothing takes Redis less than a millisecond. */
const MAX_ANSWER_MS = 1_000;

/** How soon a Redis that is away is asked again. */
const ASK_AGAIN_MS = 200;

/** What ioredis says when the connection, and not the command, is at fault. */
const AWAY =
  /Connection is closed|Command timed out|Command aborted|isn't (writeable|ready)|connect ETIMEDOUT$|Socket timeout|is disconnect|None of startup nodes|Too many Cluster redirections|No master node/;

const AWAY_NAMES = new Set(['MaxRetriesPerRequestError', 'ClusterAllFailedError']);

/** What a Redis says that has no answers for anybody: it starts, or another one is to take its place. */
const NOT_SERVING = /^(LOADING|READONLY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN)\b/;

/** Whether an error says that Redis is away, and nothing of what it was asked. */
export function isAway(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error.name === 'ReplyError') return NOT_SERVING.test(error.message);
  return AWAY_NAMES.has(error.name) || AWAY.test(error.message);
}

export type OutageOptions = {
  /** They have connected. Redis is there again when each is answered. */
  readonly clients: readonly RedisClient[];
  readonly keys: Keys;
  readonly log: Log;
  /** What was last wrong with the connection. */
  readonly reason: () => string;
};

/**
 * Tells of a Redis that is away in one line when that begins and in one when it ends, whatever fails because of it
 * meanwhile.
 *
 *     there ──connection lost, or an error that says so──▶ away ──a write is answered──▶ there
 */
export class Outage implements Disposable {
  readonly #options: OutageOptions;
  readonly #stop = new AbortController();
  #isAway = false;

  constructor(options: OutageOptions) {
    this.#options = options;
    for (const client of options.clients) client.on('close', () => this.#begin(options.reason()));
  }

  /** Whether an error is Redis' being away, which is told here: whoever got it has nothing to add. */
  explains(error: unknown): boolean {
    if (!isAway(error)) return false;
    this.#begin((error as Error).message);
    return true;
  }

  /** Somebody waited for Redis in vain, for less than a command may take: is it away, or was it asked for too much? */
  async suspect(reason: string): Promise<'away' | 'there'> {
    if (this.#isAway) return 'away';
    if (await within(MAX_ANSWER_MS, this.#isAnswered()).catch(() => false)) return 'there';
    this.#begin(reason);
    return 'away';
  }

  /** From now on a lost connection is one that was closed on purpose. */
  [Symbol.dispose](): void {
    this.#stop.abort();
  }

  #begin(reason: string): void {
    if (this.#isAway || this.#stop.signal.aborted) return;
    this.#isAway = true;
    this.#options.log.warn({ reason }, 'Redis is away');
    void this.#untilAnswered(performance.now());
  }

  async #untilAnswered(sinceMs: number): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted && !(await this.#isAnswered())) await pause(ASK_AGAIN_MS, signal);
    if (signal.aborted) return;
    this.#isAway = false;
    this.#options.log.info({ awayMs: Math.round(performance.now() - sinceMs) }, 'Redis is there again');
  }

  /** By a write that changes nothing: a replica, or a Cluster that lost a part, has answers to a PING. */
  async #isAnswered(): Promise<boolean> {
    const { clients, keys } = this.#options;
    try {
      await Promise.all(clients.map((client) => client.del(keys.prefix)));
      return true;
    } catch (error) {
      return !isAway(error);
    }
  }
}
