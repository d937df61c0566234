/** The leading whole blocks of a prompt, each named by itself and all before it; see `blocksOf`. */
export type Blocks = readonly string[];

/**
 * Which blocks of prompts a server has computed and still holds, as vLLM's automatic prefix caching has them: by whole
 * blocks from the start of a prompt, and the one that was needed least lately goes first.
 */
export class PrefixCache {
  readonly #capacity: number;
  /** In the order of their last use. */
  readonly #held = new Set<string>();

  constructor(capacityBlocks: number) {
    this.#capacity = capacityBlocks;
  }

  /** How many of the leading blocks are there. */
  hits(blocks: Blocks): number {
    const missing = blocks.findIndex((block) => !this.#held.has(block));
    const hits = missing === -1 ? blocks.length : missing;
    // The last of them first, so that a block goes before those that it continues.
    for (let at = hits - 1; at >= 0; at -= 1) this.#use(blocks[at] ?? '');
    return hits;
  }

  /** The leading blocks of a prompt are computed. */
  add(blocks: Blocks): void {
    if (this.#capacity === 0) return;
    for (let at = blocks.length - 1; at >= 0; at -= 1) this.#use(blocks[at] ?? '');
    for (const block of this.#held) {
      if (this.#held.size <= this.#capacity) return;
      this.#held.delete(block);
    }
  }

  /** Nothing is held any more. */
  clear(): void {
    this.#held.clear();
  }

  #use(block: string): void {
    this.#held.delete(block);
    this.#held.add(block);
  }
}
