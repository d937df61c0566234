import { LIMITS, writeTimes, type DocumentJob, type Result, type UnaskedResult } from '@spillway/core';
import type { RedisStore } from './store.ts';
import { pageMember } from './keys.ts';
import { Script } from './script.ts';
import { Together } from './together.ts';

/** What became of a result. RECOVERING: keep it and settle it again. */
export type Settled = 'WROTE' | 'ALREADY' | 'CLOSED' | 'RECOVERING';

const script = new Script('settle', 'said', 'results');

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
      run: (results) => this.#settle(results as readonly [Settling, ...Settling[]]),
      groupOf: ({ where: { batch, page } }) => pageMember(batch, page),
      bytesOf: ({ result: { line, kept = '' } }) => line.text.length + kept.length,
    });
  }

  settle(where: DocumentPlace, result: Result | UnaskedResult): Promise<Settled> {
    return this.#together.ask({ where, result });
  }

  /** Results of one page. */
  async #settle(results: readonly [Settling, ...Settling[]]): Promise<Settled[]> {
    const { keys, scripts } = this.#redis;
    const [{ where }] = results;
    const { batch, page } = where;
    const own = results.map(argumentsOf);
    const answers = await script.run(
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
        results.length,
        ...results.map(({ where: { place } }) => place),
        ...own.flatMap((one) => [one.length, ...one]),
      ],
    );
    return answers as Settled[];
  }
}

/** Records the result of one document by itself. */
export const settle = (redis: RedisStore, where: DocumentPlace, result: Result | UnaskedResult): Promise<Settled> =>
  new Settler(redis).settle(where, result);

function argumentsOf({ where, result }: Settling): (string | number)[] {
  const counts = Object.entries(result.counts).flatMap(([name, count = 0]) => (count === 0 ? [] : [name, count]));
  const said = Object.entries(result.said ?? {});
  return [
    where.place,
    encodeResult(result),
    'times' in result ? writeTimes(result) : '',
    result.kept ?? '',
    said.length,
    ...said.flat(),
    ...counts,
  ];
}

/**
 * The place of the document that a field of a page says of what its stages made of it; null: another field. It stands
 * beside the result, so that it goes with the page, also where a dispatcher seals that which knows nothing of it.
 */
export function keptPlace(field: string): number | null {
  return field.startsWith('d') ? Number(field.slice(1)) : null;
}

/** A result as its page's field: the part's first letter, then the line. */
function encodeResult(result: UnaskedResult): string {
  return `${result.line.part === 'output' ? 'o' : 'e'}${result.line.text}`;
}

export function decodeResult(text: string): Result['line'] {
  return { part: text.startsWith('o') ? 'output' : 'error', text: text.slice(1) };
}
