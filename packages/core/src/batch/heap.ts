/** Items of which the least is at hand, however many there are: a binary heap. */
export class Heap<Item> {
  readonly #items: Item[] = [];
  readonly #isBefore: (left: Item, right: Item) => boolean;

  constructor(isBefore: (left: Item, right: Item) => boolean) {
    this.#isBefore = isBefore;
  }

  get size(): number {
    return this.#items.length;
  }

  peek(): Item | undefined {
    return this.#items[0];
  }

  push(item: Item): void {
    const items = this.#items;
    let at = items.push(item) - 1;
    for (;;) {
      const above = (at - 1) >> 1;
      const parent = items[above];
      if (at === 0 || parent === undefined || !this.#isBefore(item, parent)) break;
      items[at] = parent;
      at = above;
    }
    items[at] = item;
  }

  pop(): Item | undefined {
    const items = this.#items;
    const least = items[0];
    const last = items.pop();
    if (items.length === 0 || last === undefined) return least;
    let at = 0;
    for (;;) {
      const below = this.#lesser(2 * at + 1);
      const child = items[below];
      if (child === undefined || !this.#isBefore(child, last)) break;
      items[at] = child;
      at = below;
    }
    items[at] = last;
    return least;
  }

  /** Of an item and the one right of it, which comes first. */
  #lesser(left: number): number {
    const [first, second] = [this.#items[left], this.#items[left + 1]];
    return first !== undefined && second !== undefined && this.#isBefore(second, first) ? left + 1 : left;
  }
}
