import {
  LIMITS,
  writeDocumentCounts,
  writeTimes,
  type DocumentJob,
  type Result,
  type UnaskedResult,
} from '@spillway/core';
import type { RedisStore } from './store.ts';
import { pageMember } from './keys.ts';
import { Script } from './script.ts';
import { allOrEach, Together } from './together.ts';

/** What became of a result. RECOVERING: keep it and settle it again. */
export type Settled = 'WROTE' | 'ALREADY' | 'CLOSED' | 'RECOVERING';

const script = new Script('settle', 'lists_from', 'said', 'add_counters');

/** Which document a result is of. */
export type DocumentPlace = Pick<DocumentJob, 'batch' | 'page' | 'place'>;

/** A document's result, to be recorded. */
type Settling = { readonly where: DocumentPlace; readonly result: Result | UnaskedResult };

/**
 * ★ The only way a document gets its result: exactly one is recorded, the first. What is to be recorded of a page while
 * its last results are being recorded goes together; each has an answer of its own.
 */
export class Settler {
  readonly #redis: RedisStore;
  readonly #together: Together<Settling, Settled>;

  constructor(redis: RedisStore) {
    this.#redis = redis;
    this.#together = new Together({
      run: (results) => allOrEach(results, (some) => this.#record(some as readonly [Settling, ...Settling[]])),
      groupOf: ({ where: { batch, page } }) => pageMember(batch, page),
      bytesOf: ({ result: { line, kept = '' } }) => line.text.length + kept.length,
    });
  }

  settle(where: DocumentPlace, result: Result | UnaskedResult): Promise<Settled> {
    return this.#together.ask({ where, result });
  }

  /**
   * Results of one page, all of them or none: of documents of which one has its result by now each is to be recorded by
   * itself.
   */
  async #record(results: readonly [Settling, ...Settling[]]): Promise<Settled | 'APART'> {
    if (new Set(results.map(({ where: { place } }) => place)).size < results.length) return 'APART';
    const { keys, scripts } = this.#redis;
    const [{ where }] = results;
    const { batch, page } = where;
    const lists = [
      results.map((one) => one.where.place),
      results.flatMap(fieldsOf),
      results.flatMap(({ where: { place }, result }) => ('times' in result ? [place, writeTimes(result)] : [])),
      results.flatMap(({ result }) => Object.entries(result.said ?? {}).flat()),
      sumsOf(results),
    ];
    const answer = await script.run(
      scripts,
      [
        keys.epoch,
        keys.batch(batch),
        keys.sealed(batch),
        keys.page(batch, page),
        keys.inFlight,
        keys.full,
        keys.times(batch, page),
      ],
      [
        page,
        pageMember(batch, page),
        keys.wake,
        LIMITS.saidTexts,
        ...lists.map(({ length }) => length),
        ...lists.flat(),
      ],
    );
    return answer as Settled | 'APART';
  }
}

/** Records the result of one document by itself. */
export const settle = (redis: RedisStore, where: DocumentPlace, result: Result | UnaskedResult): Promise<Settled> =>
  new Settler(redis).settle(where, result);

/** What a page gets of a result, as names and values. */
function fieldsOf({ where: { place }, result }: Settling): (string | number)[] {
  const { kept = '', counts } = result;
  const fields = [place, encodeResult(result), `${PREFIXES.counts}${place}`, writeDocumentCounts(counts)];
  return kept === '' ? fields : [...fields, `${PREFIXES.kept}${place}`, kept];
}

/** What results count together, as names and values. */
function sumsOf(results: readonly Settling[]): (string | number)[] {
  const sums = new Map<string, number>();
  for (const { result } of results) {
    for (const [name, count = 0] of Object.entries(result.counts)) {
      if (count !== 0) sums.set(name, (sums.get(name) ?? 0) + count);
    }
  }
  return [...sums].flat();
}

/** What stands before a document's place in the name of a field of its page, by what the field says of it. */
const PREFIXES = { line: '', kept: 'd', counts: 'c' } as const;

/** What a field of a page says of a document: its result, what its stages made of it, or what it counts. */
export type PageField = { readonly of: keyof typeof PREFIXES; readonly place: number };

/**
 * Null: it is of the page itself, or of a version to come. What is said of a document beside its result goes with the page,
 * also where a dispatcher seals that which knows nothing of it.
 */
export function pageField(name: string): PageField | null {
  const [, prefix, place] = /^([a-z]?)(\d+)$/.exec(name) ?? [];
  const of = (['line', 'kept', 'counts'] as const).find((one) => PREFIXES[one] === prefix);
  return of === undefined ? null : { of, place: Number(place) };
}

/** A result as its page's field: the part's first letter, then the line. */
function encodeResult(result: UnaskedResult): string {
  return `${result.line.part === 'output' ? 'o' : 'e'}${result.line.text}`;
}

export function decodeResult(text: string): Result['line'] {
  return { part: text.startsWith('o') ? 'output' : 'error', text: text.slice(1) };
}
