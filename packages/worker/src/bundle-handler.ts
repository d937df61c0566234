import { delayed, MAX_HELD_MS, type DocumentJob } from '@spillway/core';
import {
  bundledDocuments,
  Leavings,
  readJobFields,
  untilRecovered,
  withoutResult,
  type HeldJob,
  type Queues,
  type RedisStore,
  type Started,
} from '@spillway/redis';
import type { BreakerControl } from './breaker-control.ts';
import { DONE, later, LEFT_ALONE, PUT_BACK, type Disposition } from './disposition.ts';
import type { DocumentHandler } from './document-handler.ts';
import { HeldDocument } from './held-document.ts';
import type { Slot } from './slots.ts';
import type { WorkerPause } from './worker-pause.ts';

export type BundleHandlerParts = {
  readonly redis: RedisStore;
  readonly queues: Pick<Queues, 'add'>;
  readonly documents: Pick<DocumentHandler, 'handle'>;
  readonly pause: Pick<WorkerPause, 'isPaused'>;
  readonly breaker: Pick<BreakerControl, 'wasGoneSince'>;
};

export type BundleHandlerOptions = {
  /** No more documents are begun. */
  readonly isDraining: () => boolean;
  /** Aborted when the process must end now. */
  readonly stopping: AbortSignal;
  readonly onFailed: (id: string, error: unknown) => void;
};

/** A document whose handling failed comes again after so long. */
const FAILED_MS = 1_000;

/** A bundle that was taken up and may be begun. */
export type TakenBundle = {
  readonly held: HeldJob;
  readonly documents: readonly DocumentJob[];
  /** One for each document. */
  readonly slots: readonly Slot[];
  readonly priority: number;
  readonly started: Started;
  readonly takes: number;
  /** When it came, on the clock that never goes back. */
  readonly beganMs: number;
};

/**
 * Handles jobs of several documents. Each is begun as soon as there is a call for it; those for which there is none for a
 * moment go back together. A document that is to wait, or to come again, leaves for a job of its own, where all that
 * concerns one document alone is decided: a bundle is done when nothing of it is left.
 */
export class BundleHandler {
  readonly #parts: BundleHandlerParts;
  readonly #options: BundleHandlerOptions;
  readonly #leavings: Leavings;

  constructor(parts: BundleHandlerParts, options: BundleHandlerOptions) {
    this.#parts = parts;
    this.#options = options;
    this.#leavings = new Leavings(parts.redis);
  }

  async handle({ documents, slots, ...bundle }: TakenBundle): Promise<Disposition> {
    const { started, beganMs } = bundle;
    // Nothing of it was begun, and nothing need leave it.
    if (started.state !== 'PROBE' && this.#takesNone) return PUT_BACK;
    const settled = new Set(started.settled);
    const open = documents.filter(({ place }) => !settled.has(place));
    for (const spare of slots.slice(open.length)) spare.release();
    const running: Promise<boolean>[] = [];
    for (const [at, document] of open.entries()) {
      const slot = slots[at];
      const leftMs = beganMs + MAX_HELD_MS - performance.now();
      const mayBegin = slot !== undefined && !this.#isOver(bundle, at) && (await slot.within(leftMs));
      if (!mayBegin || this.#isOver(bundle, at)) {
        for (const one of slots.slice(at)) one.release();
        running.push(this.#leave(bundle, open.slice(at), { size: open.length - at }));
        break;
      }
      running.push(this.#handleOne(bundle, document).finally(() => slot.release()));
    }
    return (await Promise.all(running)).every(Boolean) ? DONE : LEFT_ALONE;
  }

  /** A worker was lost that had it. Its documents go on as jobs of their own, next in line, with what was written of them. */
  async split(held: HeldJob, priority: number): Promise<Disposition> {
    const fields = await readJobFields(this.#parts.redis, held);
    const takenAtMs = Number(/^\d+/.exec(fields['taken'] ?? '')?.[0] ?? Date.now());
    const nowMs = Date.now();
    const left = await withoutResult(this.#parts.redis, bundledDocuments(fields));
    const documents = left.map((document) =>
      delayed(document, { reason: 'lost_worker', fromMs: Math.max(takenAtMs, document.waitingSinceMs), toMs: nowMs }),
    );
    return (await this.#leave({ held, priority }, documents, { size: 1 })) ? DONE : LEFT_ALONE;
  }

  /** Whether those from there on are not begun here any more. Through an open breaker one goes. */
  #isOver({ started, beganMs }: Pick<TakenBundle, 'started' | 'beganMs'>, at: number): boolean {
    if (at === 0) return false;
    return started.state === 'PROBE' || this.#takesNone || this.#parts.breaker.wasGoneSince(beganMs);
  }

  get #takesNone(): boolean {
    return this.#options.isDraining() || this.#parts.pause.isPaused;
  }

  /** Whether nothing of it is left in the bundle. It does not fail, so that the others are waited for. */
  async #handleOne(
    { held, started, takes, priority }: Omit<TakenBundle, 'documents' | 'slots'>,
    document: DocumentJob,
  ): Promise<boolean> {
    const one = new HeldDocument(document, { job: held, isBundled: true, started, losses: 0, takes });
    const disposition = await this.#parts.documents.handle(one).catch((error: unknown) => {
      this.#options.onFailed(one.id, error);
      return later(FAILED_MS);
    });
    // Somebody else has the bundle now, and splits it.
    if (one.isGone) return true;
    if (disposition.kind === 'done') return true;
    const afterMs = disposition.kind === 'later' ? disposition.afterMs : 0;
    return await this.#leave({ held, priority }, [one.data], { size: 1, afterMs });
  }

  /**
   * Puts documents into jobs of so many, which the bundle has no more. False: the process must end and Redis has not taken
   * them, or something went wrong. Then the bundle stays, and is split when its lock is over.
   */
  async #leave(
    { held, priority }: Pick<TakenBundle, 'held' | 'priority'>,
    documents: readonly DocumentJob[],
    options: { readonly size: number; readonly afterMs?: number },
  ): Promise<boolean> {
    const { queues } = this.#parts;
    const { stopping } = this.#options;
    const add = async (): Promise<'ADDED'> => {
      await queues.add(held.tier, documents, () => priority, options);
      return 'ADDED';
    };
    const places = documents.map(({ place }) => place);
    try {
      if ((await untilRecovered(add, stopping)) === 'STOPPED') return false;
      return (await untilRecovered(() => this.#leavings.leave(held, places), stopping)) !== 'STOPPED';
    } catch (error) {
      this.#options.onFailed(held.id, error);
      return false;
    }
  }
}
