import { copiedAnswer, type CascadeRules, type CopiedAnswer, type PageLine } from '@spillway/core';
import { readResults, settledIn, type RedisStore } from '@spillway/redis';
import { readJson } from '@spillway/runtime';
import { Lru, PageLines, type BatchPlan, type Storage } from '@spillway/storage';

/** Answers in storage, which never change, are kept as far as they are used. */
const MAX_KEPT_BYTES = 16 * 1024 * 1024;
const ANSWER_BYTES = 2 * 1024;

/** Documents of one page that others are copies of, each with the name of its cascade. */
export type Firsts = {
  readonly plan: BatchPlan;
  readonly page: number;
  readonly cascades: ReadonlyMap<number, string>;
};

/** What is known of firsts. */
export type KnownFirsts = {
  /** By document; null: its copies are asked about, as it failed, or as its line cannot be read. Absent: nothing yet. */
  readonly answers: ReadonlyMap<number, CopiedAnswer | null>;
  /** How many documents of the page were settled then; null: it is not open. */
  readonly settled: number | null;
};

/** Reads what became of documents that others are copies of: from Redis while their page is open there, else from storage. */
export class FirstAnswers {
  readonly #redis: RedisStore;
  readonly #lines: PageLines;
  readonly #kept = new Lru<CopiedAnswer>(MAX_KEPT_BYTES, ({ answer }) => ANSWER_BYTES + 2 * answer.length);

  constructor({ redis, storage }: { readonly redis: RedisStore; readonly storage: Storage }) {
    this.#redis = redis;
    this.#lines = new PageLines(storage);
  }

  /** `known`: with as many settled documents in an open page its lines were read before, and say nothing new. */
  async of(firsts: Firsts, known: number | null = null): Promise<KnownFirsts> {
    const answers = new Map<number, CopiedAnswer | null>();
    const unknown: number[] = [];
    for (const document of firsts.cascades.keys()) {
      const kept = this.#kept.get(keyOf(firsts, document));
      if (kept === undefined) unknown.push(document);
      else answers.set(document, kept);
    }
    if (unknown.length === 0) return { answers, settled: known };
    const settled = await settledIn(this.#redis, firsts.plan.manifest.id, firsts.page);
    if (settled === null || settled !== known) await this.#read(firsts, unknown, { isOpen: settled !== null, answers });
    return { answers, settled };
  }

  /** A page that is neither open nor in storage will be enqueued again: nothing is known of its documents yet. */
  async #read(
    firsts: Firsts,
    unknown: readonly number[],
    { isOpen, answers }: { readonly isOpen: boolean; readonly answers: Map<number, CopiedAnswer | null> },
  ): Promise<void> {
    const { plan, page } = firsts;
    const { id } = plan.manifest;
    const first = plan.pages[page]?.first ?? 0;
    const places = unknown.map((document) => document - first);
    const lines = isOpen ? await readResults(this.#redis, id, page, places) : await this.#lines.read(id, page, places);
    if (lines === null) return;
    for (const document of unknown) {
      const line = lines.get(document - first);
      // What has no line yet in an open page may get one; in storage it never does.
      if (line === undefined && isOpen) continue;
      const answer = line === undefined ? null : await answerIn(line, rulesOf(firsts, document));
      answers.set(document, answer);
      if (answer !== null && !isOpen) this.#kept.set(keyOf(firsts, document), answer);
    }
  }
}

const keyOf = ({ plan }: Firsts, document: number): string => `${plan.manifest.id} ${document}`;

const rulesOf = ({ plan, cascades }: Firsts, document: number): CascadeRules | undefined =>
  plan.cascades[cascades.get(document) ?? ''];

/** What a server may answer was bounded when it did. */
const NO_LIMITS = { depth: Number.MAX_SAFE_INTEGER, values: Number.MAX_SAFE_INTEGER };

async function answerIn({ part, text }: PageLine, rules: CascadeRules | undefined): Promise<CopiedAnswer | null> {
  if (part === 'error' || rules === undefined) return null;
  const read = rules.annotate ? null : await readJson(text, NO_LIMITS);
  return copiedAnswer(text, rules, read?.kind === 'json' ? read.value : null);
}
