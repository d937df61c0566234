import { randomUUID } from 'node:crypto';
import type { Board } from './board.ts';
import { redisNowMs } from './board.ts';
import { readGate } from './gate.ts';
import { Script } from './script.ts';

const beatScript = new Script('beat');

/** How often a worker process tells of itself, and after how long of silence it is gone. */
export const BEAT_MS = 5_000;
const SILENT_MS = 20_000;

/** When, calls at a time, and why it rests, if it does. */
const BEAT = /^(\d+) (\d+) ?(.*)$/s;

/** What the workers of a tier tell of themselves. */
export type TierState = {
  /** Worker processes that are there. */
  readonly replicas: number;
  /** Calls at a time of one of them; null: there is none. */
  readonly concurrency: number | null;
  /** What a document takes of a slot, by the last who measured it; null: nobody has. */
  readonly secondsPerDocument: number | null;
  /** Why all its workers rest though the gate is open; null: one of them does not, or there is none. */
  readonly resting: string | null;
};

/** What a worker tells of itself beside that it is there. */
export type Beat = Pick<TierState, 'secondsPerDocument' | 'resting'> & { readonly concurrency: number };

/** A worker process in one tier. */
export class Heartbeat {
  readonly #board: Board;
  readonly #queue: string;
  readonly #worker = randomUUID();

  constructor(board: Board, queue: string) {
    this.#board = board;
    this.#queue = queue;
  }

  async beat({ secondsPerDocument, resting, concurrency }: Beat): Promise<void> {
    const seconds = secondsPerDocument === null ? '' : String(secondsPerDocument);
    const keys = [this.#board.keys.tier(this.#queue)];
    await beatScript.run(this.#board.client, keys, [this.#worker, concurrency, seconds, resting ?? '']);
  }

  /** Says that this worker goes. */
  async end(): Promise<void> {
    await this.#board.client.hdel(this.#board.keys.tier(this.#queue), this.#worker);
  }
}

/** Why nobody works in a tier though it may have work: its gate is closed, or all its workers rest; else null. */
export async function heldReason(board: Board, queue: string): Promise<string | null> {
  const [gate, tier] = await Promise.all([readGate(board, queue), readTier(board, queue)]);
  return gate ?? tier.resting;
}

/** The workers of a tier as they last told; those that fell silent are forgotten. */
export async function readTier(board: Board, queue: string): Promise<TierState> {
  const [told, nowMs] = await Promise.all([board.client.hgetall(board.keys.tier(queue)), redisNowMs(board)]);
  const { '#seconds': seconds, ...workers } = told;
  const silent: string[] = [];
  const calls: number[] = [];
  const reasons: string[] = [];
  for (const [worker, text] of Object.entries(workers)) {
    const [, atSeconds = '0', concurrency = '1', reason = ''] = BEAT.exec(text) ?? [];
    if (nowMs - Number(atSeconds) * 1_000 > SILENT_MS) silent.push(worker);
    else {
      calls.push(Number(concurrency));
      if (reason !== '') reasons.push(reason);
    }
  }
  if (silent.length > 0) await board.client.hdel(board.keys.tier(queue), ...silent);
  const sum = calls.reduce((all, one) => all + one, 0);
  return {
    replicas: calls.length,
    concurrency: calls.length === 0 ? null : sum / calls.length,
    secondsPerDocument: seconds === undefined ? null : Number(seconds),
    resting: reasons.length === calls.length ? (reasons[0] ?? null) : null,
  };
}
