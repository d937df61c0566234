import type { Sliced } from '../text/slices.ts';

/** What is kept of a document that is to be asked about. */
export type DocumentSize = {
  /** Its index in the batch. */
  readonly document: number;
  /** Where its line lies in the input. */
  readonly offset: number;
  readonly bytes: number;
  /** Of the texts that a model is to read. */
  readonly characters: number;
  readonly hasImage: boolean;
  readonly cascade: string;
};

/** Documents that are looked at in one slice: at 20 ns each that is a millisecond. */
export const SLICE_DOCUMENTS = 50_000;

/** Sizes of documents in typed arrays, 23 bytes each, and as much again at most for those to come. */
export class DocumentSizes {
  #documents = new Uint32Array(1024);
  #offsets = new Float64Array(1024);
  #bytes = new Uint32Array(1024);
  #characters = new Uint32Array(1024);
  #images = new Uint8Array(1024);
  #cascades = new Uint16Array(1024);
  readonly #names: string[] = [];
  readonly #places = new Map<string, number>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The cascades that are named, in the order in which they first are. */
  get cascades(): readonly string[] {
    return this.#names;
  }

  /** Adds a document; they come in order. */
  add({ document, offset, bytes, characters, hasImage, cascade }: DocumentSize): void {
    if (this.#size === this.#documents.length) this.#grow();
    const at = this.#size;
    this.#documents[at] = document;
    this.#offsets[at] = offset;
    this.#bytes[at] = bytes;
    this.#characters[at] = characters;
    this.#images[at] = hasImage ? 1 : 0;
    this.#cascades[at] = this.#placeOf(cascade);
    this.#size += 1;
  }

  at(at: number): DocumentSize {
    return {
      document: this.#documents[at] ?? 0,
      offset: this.#offsets[at] ?? 0,
      bytes: this.#bytes[at] ?? 0,
      characters: this.#characters[at] ?? 0,
      hasImage: this.#images[at] === 1,
      cascade: this.#names[this.#cascades[at] ?? 0] ?? '',
    };
  }

  documentAt(at: number): number {
    return this.#documents[at] ?? 0;
  }

  hasImageAt(at: number): boolean {
    return this.#images[at] === 1;
  }

  /** How many documents a cascade has, by its place in `cascades`. */
  countOf(cascade: number): number {
    let count = 0;
    for (let at = 0; at < this.#size; at += 1) if (this.#cascades[at] === cascade) count += 1;
    return count;
  }

  charactersAt(at: number): number {
    return this.#characters[at] ?? 0;
  }

  /** The place of a document's cascade in `cascades`. */
  cascadeAt(at: number): number {
    return this.#cascades[at] ?? 0;
  }

  /** Takes documents out, by their indexes in the batch, in order. */
  *dropping(documents: Uint32Array): Sliced<void> {
    let [kept, next] = [0, 0];
    for (let at = 0; at < this.#size; at += 1) {
      if (at % SLICE_DOCUMENTS === SLICE_DOCUMENTS - 1) yield;
      const document = this.#documents[at] as number;
      while (next < documents.length && (documents[next] as number) < document) next += 1;
      if (documents[next] === document) continue;
      for (const column of this.#columns()) column[kept] = column[at] as number;
      kept += 1;
    }
    this.#size = kept;
  }

  #columns() {
    return [this.#documents, this.#offsets, this.#bytes, this.#characters, this.#images, this.#cascades] as const;
  }

  #placeOf(cascade: string): number {
    const known = this.#places.get(cascade);
    if (known !== undefined) return known;
    const place = this.#names.push(cascade) - 1;
    this.#places.set(cascade, place);
    return place;
  }

  #grow(): void {
    const more = <Column extends { set(from: Column): void }>(column: Column, larger: Column): Column => {
      larger.set(column);
      return larger;
    };
    const capacity = 2 * this.#documents.length;
    this.#documents = more(this.#documents, new Uint32Array(capacity));
    this.#offsets = more(this.#offsets, new Float64Array(capacity));
    this.#bytes = more(this.#bytes, new Uint32Array(capacity));
    this.#characters = more(this.#characters, new Uint32Array(capacity));
    this.#images = more(this.#images, new Uint8Array(capacity));
    this.#cascades = more(this.#cascades, new Uint16Array(capacity));
  }
}
