import {
  drawnDocuments,
  pageOfDocument,
  readSampleLine,
  sampleIdOf,
  type Sampled,
  type ResultLine,
} from '@spillway/core';
import { PageLines, type BatchPlan, type Records, type Storage } from '@spillway/storage';

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
  readonly #lines: PageLines;

  constructor({ records, storage }: { readonly records: Records; readonly storage: Storage }) {
    this.#records = records;
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
}
