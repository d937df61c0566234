import { z } from 'zod';
import { judgingStages } from '../cascade/thresholds.ts';
import type { CascadeRules } from '../cascade/rules.ts';
import { mostSampled, planAim } from '../promise/index.ts';
import { digest } from '../text/digest.ts';
import { Heap } from './heap.ts';

/** The documents of a batch by which thresholds are found, by cascade. */
export const drawsRecord = z.record(
  z.string(),
  z.object({
    /** How many documents of the batch name this cascade. */
    population: z.int(),
    /** Those that were drawn, by their indices in the batch, in order; none where a sample would show nothing. */
    documents: z.array(z.int()),
  }),
);

export type Draws = Readonly<z.output<typeof drawsRecord>>;

/** Half of the digest's 128 bits as they fit into a number, exactly. */
const KEY_DIGITS = 12;

/**
 * Where a document stands in the order of drawing. It depends on the batch's id and the document's place, and on nothing
 * that a document says: so a file in any order, sorted by difficulty for instance, is sampled evenly.
 */
const keyOf = (batch: string, document: number): number =>
  Number.parseInt(digest('draw', batch, String(document)).slice(0, KEY_DIGITS), 16);

type Drawn = { readonly document: number; readonly key: number };

/** Those of one cascade: how many documents it has, how many of them may be drawn, and those that were. */
type CascadeDraws = { population: number; mayDraw: number; readonly heap: Heap<Drawn>; readonly most: number };

/** Draws documents while a batch is validated, for each cascade whose thresholds are to be found. */
export class DocumentDraws {
  readonly #batch: string;
  readonly #rules: Readonly<Record<string, CascadeRules>>;
  readonly #drawn = new Map<string, CascadeDraws>();

  constructor(batch: string, rules: Readonly<Record<string, CascadeRules>>) {
    this.#batch = batch;
    this.#rules = rules;
  }

  /** Counts a document; it may be drawn, unless only labelled ones may. */
  add(document: number, cascade: string): void {
    const aim = this.#rules[cascade]?.aim;
    if (aim === undefined) return;
    let own = this.#drawn.get(cascade);
    if (own === undefined) {
      const heap = new Heap<Drawn>((left, right) => left.key > right.key);
      own = { population: 0, mayDraw: 0, heap, most: mostSampled(aim) };
      this.#drawn.set(cascade, own);
    }
    own.population += 1;
    if (aim.kind !== 'accuracy') this.#offer(own, document);
  }

  /** A document that was counted has a label. */
  addLabelled(document: number, cascade: string): void {
    const own = this.#drawn.get(cascade);
    if (own !== undefined && this.#rules[cascade]?.aim?.kind === 'accuracy') this.#offer(own, document);
  }

  #offer(own: CascadeDraws, document: number): void {
    own.mayDraw += 1;
    const key = keyOf(this.#batch, document);
    if (own.heap.size >= own.most) {
      if (key >= (own.heap.peek()?.key ?? 0)) return;
      own.heap.pop();
    }
    own.heap.push({ document, key });
  }

  /** What was drawn; null: all thresholds are fixed. */
  finish(): Draws | null {
    if (this.#drawn.size === 0) return null;
    return Object.fromEntries(
      [...this.#drawn].map(([cascade, { population, mayDraw, heap }]) => {
        const rules = this.#rules[cascade];
        const plan = rules?.aim === undefined ? null : planAim(rules.aim, judgingStages(rules).length, mayDraw);
        const all: Drawn[] = [];
        for (let one = heap.pop(); one !== undefined; one = heap.pop()) all.push(one);
        const first = all
          .toSorted((left, right) => left.key - right.key)
          .slice(0, plan?.kind === 'sampled' ? plan.n : 0);
        const documents = first.map(({ document }) => document).toSorted((left, right) => left - right);
        return [cascade, { population, documents }];
      }),
    );
  }
}

/** All documents that were drawn, in order. */
export const drawnDocuments = (draws: Draws): number[] =>
  Object.values(draws)
    .flatMap(({ documents }) => documents)
    .toSorted((left, right) => left - right);
