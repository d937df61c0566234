import {
  KEYS,
  LIMITS,
  Lru,
  RECORDS,
  tiersOf,
  type CascadeRules,
  type Manifest,
  type PagePlan,
  type Validated,
} from '@spillway/core';
import type { Board, Queues } from '@spillway/redis';
import type { Log, Meters, Telemetry } from '@spillway/runtime';
import { readRecord, type Storage } from '@spillway/storage';
import type { Hooks } from './hooks/hooks.ts';

/** What every part of the dispatcher works with. */
export type Desk = {
  readonly board: Board;
  readonly queues: Queues;
  readonly storage: Storage;
  readonly records: BatchRecords;
  readonly hooks: Hooks;
  readonly troubles: Troubles;
  /** Of an input file. */
  readonly limits: { readonly lines: number; readonly lineBytes: number };
  readonly telemetry: Telemetry;
  readonly log: Log;
};

/** A validated batch: what was asked, and where its documents lie. */
export type BatchPlan = {
  readonly manifest: Manifest;
  readonly total: number;
  readonly model: string | null;
  readonly validatedAtMs: number;
  readonly pages: readonly PagePlan[];
  /** The rules of the cascades that its documents name. */
  readonly cascades: Readonly<Record<string, CascadeRules>>;
  /** Every queue that its documents can pass. */
  readonly tiers: readonly string[];
};

/**
 * Does something for one batch so that its trouble, such as a damaged record, stays its own; null when it failed, or
 * failed a moment ago.
 */
export async function apart<Done>(
  { troubles, log }: Pick<Desk, 'troubles' | 'log'>,
  batch: string,
  step: string,
  work: () => Promise<Done>,
): Promise<Done | null> {
  if (troubles.rests(batch, step)) return null;
  try {
    const done = await work();
    troubles.forget(batch, step);
    return done;
  } catch (error) {
    const againInMs = troubles.note(batch, step);
    log.error({ batch, step, againInMs, err: error }, 'a step failed for this batch and is tried again');
    return null;
  }
}

const FIRST_REST_MS = 500;
const LONGEST_REST_MS = 30_000;

/** Steps that failed for a batch: each rests for a while, longer with each failure in a row. */
export class Troubles {
  readonly #known = new Map<string, { failures: number; untilMs: number }>();
  readonly #meters: Meters;

  constructor(meters: Meters) {
    this.#meters = meters;
  }

  rests(batch: string, step: string): boolean {
    return (this.#known.get(`${step} ${batch}`)?.untilMs ?? 0) > Date.now();
  }

  /** Notes a failure; the milliseconds that the step rests now. */
  note(batch: string, step: string): number {
    this.#meters.count('cascade.troubles', 1, { step });
    const failures = (this.#known.get(`${step} ${batch}`)?.failures ?? 0) + 1;
    const restMs = Math.min(FIRST_REST_MS * 2 ** Math.min(failures - 1, 10), LONGEST_REST_MS);
    this.#known.set(`${step} ${batch}`, { failures, untilMs: Date.now() + restMs });
    return restMs;
  }

  forget(batch: string, step: string): void {
    if (this.#known.size > 0) this.#known.delete(`${step} ${batch}`);
  }
}

/** Bytes of Redis that a page takes from its beginning to its sealing, results not counted. */
export const pageCost = (page: PagePlan): number => page.bytes + page.documents * LIMITS.documentOverheadBytes;

/** Kept in memory of manifests and of plans; a plan of a million documents is half a megabyte. */
const KEPT_BYTES = 64 * 1024 * 1024;
const PAGE_BYTES = 128;
const OBJECT_BYTES = 1024;

/** Reads the create-only records of batches, and keeps some: what was written once never changes. */
export class BatchRecords {
  readonly #storage: Storage;
  readonly #manifests = new Lru<Manifest>(KEPT_BYTES, (manifest) => OBJECT_BYTES + JSON.stringify(manifest).length);
  readonly #plans = new Lru<BatchPlan>(KEPT_BYTES, ({ pages }) => OBJECT_BYTES + PAGE_BYTES * pages.length);

  constructor(storage: Storage) {
    this.#storage = storage;
  }

  async manifest(batch: string): Promise<Manifest | null> {
    const kept = this.#manifests.get(batch);
    if (kept !== undefined) return kept;
    const manifest = await readRecord(this.#storage, KEYS.manifest(batch), RECORDS.manifest);
    if (manifest !== null) this.#manifests.set(batch, manifest);
    return manifest;
  }

  /** Null while the batch is not validated. */
  async plan(batch: string): Promise<BatchPlan | null> {
    const kept = this.#plans.get(batch);
    if (kept !== undefined) return kept;
    const manifest = await this.manifest(batch);
    const validated = await readRecord(this.#storage, KEYS.validated(batch), RECORDS.validated);
    if (manifest === null || validated === null) return null;
    const plan = planOf(manifest, validated);
    this.#plans.set(batch, plan);
    return plan;
  }
}

function planOf(manifest: Manifest, validated: Validated): BatchPlan {
  const named = validated.cascades.flatMap((name) => {
    const rules = manifest.cascades[name];
    return rules === undefined ? [] : [[name, rules] as const];
  });
  const cascades = Object.fromEntries(named);
  return {
    manifest,
    total: validated.total,
    model: validated.cascades.length === 1 ? (validated.cascades[0] ?? null) : null,
    validatedAtMs: validated.validatedAtMs,
    pages: validated.pages.map(([first, documents, offset, bytes, lineBefore]) => ({
      first,
      documents,
      offset,
      bytes,
      lineBefore,
    })),
    cascades,
    tiers: tiersOf(Object.values(cascades)),
  };
}

/** The page that begins with this document; null at the end. Pages are in order, so a bisection finds it. */
export function pageAt(plan: BatchPlan, document: number): number | null {
  let [low, high] = [0, plan.pages.length - 1];
  while (low <= high) {
    const middle = (low + high) >> 1;
    const first = plan.pages[middle]?.first ?? 0;
    if (first === document) return middle;
    if (first < document) low = middle + 1;
    else high = middle - 1;
  }
  return null;
}
