import {
  drawnDocuments,
  pageOfDocument,
  readSampleLine,
  sampleIdOf,
  type Sampled,
  type ResultLine,
} from '@spillway/core';
import {
  Lru,
  PageLines,
  readKeptPage,
  type BatchPlan,
  type KeptPage,
  type KeptPlace,
  type Records,
  type Storage,
} from '@spillway/storage';

/** What a drawn document's sample says of it. */
export type SampleLine = {
  /** By its index in the batch. */
  readonly document: number;
  /** Its index in the sample. */
  readonly place: number;
  readonly line: ResultLine;
  readonly sample: Sampled;
};

/** Reads what the sample of a batch says of its drawn documents, a page of the sample at a time. */
export class SampleLines {
  readonly #records: Records;
  readonly #storage: Storage;
  readonly #lines: PageLines;
  /** What pages of samples keep: a sample has few, and each page of its batch looks for some of it. */
  readonly #kept = new Lru<KeptPage>(MAX_KEPT_BYTES, bytesOf);

  constructor({ records, storage }: { readonly records: Records; readonly storage: Storage }) {
    this.#records = records;
    this.#storage = storage;
    this.#lines = new PageLines(storage);
  }

  /** Of the drawn documents from one to before another; without those that have no answer that says what it is for. */
  async *read(
    { manifest, draws }: BatchPlan,
    range: { readonly from: number; readonly to: number },
  ): AsyncGenerator<SampleLine> {
    if (draws === null) return;
    const drawn = drawnDocuments(draws);
    const wanted = drawn.flatMap((document, place) =>
      document >= range.from && document < range.to ? [{ document, place }] : [],
    );
    if (wanted.length === 0) return;
    const id = sampleIdOf(manifest.id);
    const plan = await this.#records.plan(id);
    if (plan === null) return;
    for (const [page, ofPage] of Map.groupBy(wanted, ({ place }) => pageOfDocument(plan.pages, place))) {
      const at = page === null ? undefined : plan.pages[page];
      if (page === null || at === undefined) continue;
      const lines = await this.#lines.read(
        id,
        page,
        ofPage.map(({ place }) => place - at.first),
      );
      for (const { document, place } of ofPage) {
        const text = lines?.get(place - at.first)?.text;
        const read = text === undefined ? null : readSampleLine(text);
        if (read !== null) yield { document, place, ...read };
      }
    }
  }

  /** What the stages made of a sampled document, for the private part of the batch's own page; null: nothing is known. */
  async kept({ manifest }: BatchPlan, { place }: Pick<SampleLine, 'place'>): Promise<string | null> {
    const id = sampleIdOf(manifest.id);
    const pages = (await this.#records.plan(id))?.pages ?? [];
    const page = pageOfDocument(pages, place);
    const at = page === null ? undefined : pages[page];
    if (page === null || at === undefined) return null;
    return (await this.#keptIn(id, page, at.first)).get(place - at.first)?.kept ?? null;
  }

  /** What a sealed page keeps of its documents, by place; of one that is still to be sealed nothing yet. */
  async #keptIn(batch: string, page: number, first: number): Promise<ReadonlyMap<number, KeptPlace>> {
    const key = `${batch} ${page}`;
    const known = this.#kept.get(key) ?? (await readKeptPage(this.#storage, { batch, page, first }));
    if (known.kind !== 'gone') this.#kept.set(key, known);
    return known.kind === 'kept' ? known.documents : new Map();
  }
}

/** Of what pages of samples keep. */
const MAX_KEPT_BYTES = 16 * 1024 * 1024;

const bytesOf = (page: KeptPage): number =>
  page.kind === 'kept'
    ? page.documents.values().reduce((sum, { kept, line }) => sum + 2 * (kept.length + (line?.length ?? 0)), 0)
    : 64;
