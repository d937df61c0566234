import { maxNanoUsd, pageCost, type Copies, type PagePlan } from '@spillway/core';
import type { BatchPlan, Records } from '@spillway/storage';

/** The tiers that documents may pass. Batches of the same cascades share one. */
export type Route = Pick<BatchPlan, 'tiers' | 'firstTiers' | 'laterTiers' | 'way'>;

/** What of a validated batch says what its pages take and where they go. */
export type Outline = {
  readonly tenant: string;
  readonly route: Route;
  /** Its metadata say what it may cost. */
  readonly isCapped: boolean;
  /** Null: there are none. */
  readonly copies: Copies | null;
  readonly pages: PageOutlines;
};

/** `bytes` are those of a page's input, `costBytes` what it takes of the capacity. */
export type PageOutline = { readonly documents: number; readonly bytes: number; readonly costBytes: number };

/** The pages of a batch, at 12 bytes each. */
class PageOutlines {
  /** The first document of each page, and after the last one how many there are in all. */
  readonly #firsts: Uint32Array;
  readonly #bytes: Float64Array;

  constructor(pages: readonly PagePlan[], total: number) {
    this.#firsts = Uint32Array.from([...pages.map(({ first }) => first), total]);
    this.#bytes = Float64Array.from(pages.map(({ bytes }) => bytes));
  }

  get length(): number {
    return this.#bytes.length;
  }

  at(page: number): PageOutline | undefined {
    const bytes = this.#bytes[page];
    const [first, next] = [this.#firsts[page] ?? 0, this.#firsts[page + 1] ?? 0];
    return bytes === undefined
      ? undefined
      : { documents: next - first, bytes, costBytes: pageCost({ bytes, documents: next - first }) };
  }

  /** The page of a document, by its index; null beyond the end. */
  of(document: number): number | null {
    const after = this.#firsts.findIndex((first) => first > document);
    return after > 0 ? after - 1 : null;
  }
}

/** The outline of a batch as its plan says it. */
export function outlineOf({ manifest, total, tiers, firstTiers, laterTiers, way, pages, copies }: BatchPlan): Outline {
  return {
    tenant: manifest.tenant,
    route: { tiers, firstTiers, laterTiers, way },
    isCapped: maxNanoUsd(manifest.metadata) !== null,
    copies,
    pages: new PageOutlines(pages, total),
  };
}

/**
 * The outlines of the batches in work. The records' cache holds some thousand plans; of a hundred thousand small batches
 * each pass would read nearly all again.
 */
export class Outlines {
  readonly #records: Records;
  readonly #known = new Map<string, Outline>();
  readonly #routes = new Map<string, Route>();

  constructor(records: Records) {
    this.#records = records;
  }

  /** The outline of a batch that was looked at before. */
  known(batch: string): Outline | undefined {
    return this.#known.get(batch);
  }

  /** The outline of a batch; null while it is not validated. */
  async of(batch: string): Promise<Outline | null> {
    const known = this.#known.get(batch);
    if (known !== undefined) return known;
    const plan = await this.#records.plan(batch);
    if (plan === null) return null;
    const read = outlineOf(plan);
    const outline = { ...read, route: this.#shared(read.route) };
    this.#known.set(batch, outline);
    return outline;
  }

  /** The tiers that batches in work can pass, as far as they were looked at. */
  tiers(): Set<string> {
    return new Set([...new Set(this.#known.values().map(({ route }) => route))].flatMap(({ tiers }) => tiers));
  }

  note(batch: string, live: object | null): void {
    if (live === null) this.#known.delete(batch);
  }

  #shared(route: Route): Route {
    const name = JSON.stringify(route);
    const known = this.#routes.get(name);
    if (known !== undefined) return known;
    this.#routes.set(name, route);
    return route;
  }
}
