/** Pieces in a row are put together when there are so many: a piece of one byte would else cost as much as a long one. */
const MAX_PIECES = 1024;

/** A text that comes in pieces, however many and small. */
export class GrowingText {
  readonly #blocks: string[] = [];
  #pieces: string[] = [];

  push(piece: string): void {
    if (piece === '') return;
    this.#pieces.push(piece);
    if (this.#pieces.length < MAX_PIECES) return;
    this.#blocks.push(this.#pieces.join(''));
    this.#pieces = [];
  }

  /** All of it; it is empty afterwards. */
  take(): string {
    const text = this.#blocks.length === 0 && this.#pieces.length === 1 ? this.#pieces[0] : undefined;
    const all = text ?? [...this.#blocks.splice(0), ...this.#pieces].join('');
    this.#pieces = [];
    return all;
  }
}

/**
 * The text of a body that comes in pieces. Each is decoded as it comes, so that the end of a long one costs no more than
 * its middle. Drops a byte order mark, as the SDK's fetch does.
 */
export class BodyText {
  readonly #text = new GrowingText();
  /** A body of one piece, as most are, is decoded at once. */
  #only: Buffer | null = null;
  #decoder: InstanceType<typeof TextDecoder> | null = null;

  push(chunk: Buffer): void {
    if (this.#only === null && this.#decoder === null) {
      this.#only = chunk;
      return;
    }
    if (this.#decoder === null) {
      this.#decoder = new TextDecoder();
      if (this.#only !== null) this.#text.push(this.#decoder.decode(this.#only, { stream: true }));
      this.#only = null;
    }
    this.#text.push(this.#decoder.decode(chunk, { stream: true }));
  }

  /** To be called once; of a text that was cut the half of a character at its end is dropped. */
  end({ isCut }: { readonly isCut: boolean }): string {
    if (this.#only !== null) return new TextDecoder().decode(this.#only, { stream: isCut });
    if (this.#decoder !== null && !isCut) this.#text.push(this.#decoder.decode());
    return this.#text.take();
  }
}
