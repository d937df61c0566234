import {
  bundleSize,
  draftToHandOff,
  isUnjudged,
  LIMITS,
  nextStageJob,
  reasonCounter,
  stageKey,
  stageTier,
  type CascadeDocument,
  type DocumentJob,
  type Warning,
} from '@spillway/core';
import { lockedKeys, type DocumentField, type Written } from './jobs.ts';
import { pageMember } from './keys.ts';
import type { Queues } from './queues.ts';
import { Script } from './script.ts';
import type { RedisStore } from './store.ts';
import { TierLoads } from './tier-loads.ts';
import { Together } from './together.ts';
import { readWarning } from './words.ts';

/** What became of a hand-off. */
export type HandedOff = 'GO' | 'ALREADY' | 'CLOSED' | 'RECOVERING';

const script = new Script(
  'handoff',
  'move_down',
  'documents_of',
  'fair',
  'said',
  'drafts',
  'charge_draft',
  'write_document',
);

/** A document on its way to the next stage. */
type HandingOff = {
  readonly job: DocumentJob;
  /** The same, as its job says it. */
  readonly text: string;
  readonly next: DocumentJob;
  readonly tier: string;
  /** What the script is to know of the draft. */
  readonly draft: readonly (string | number)[];
  readonly onWritten: (written: Written) => void;
  readonly onUnjudged: (warning: Warning) => void;
  /** Somebody else may have handed it off before: it goes as a job of its own, whose id only this document can have. */
  isAgain: boolean;
  /** Where its draft is to be written down; null: it is. */
  draftIn: DocumentField | null;
  /** Its start tag, once that was taken. */
  tag: number | null;
  /** Adds its job, which may be several documents'; null: nobody has begun to. */
  add: (() => Promise<void>) | null;
};

/** What the script says of each. */
type Answer = [state: HandedOff, tag: number, isUnjudged: 0 | 1, written: Written | ''];

export type HandOffOptions = {
  /** Where the draft is written in the same step, so that whoever gets that job next asks for it no more. */
  readonly draftIn?: DocumentField;
  /** Called with whether that could be done. */
  readonly onWritten?: (written: Written) => void;
  /** Its draft was written by somebody who may have handed it off, too. */
  readonly isAgain?: boolean;
  /** None of the stage's first drafts in this batch could be judged: called once for a batch and a tier. */
  readonly onUnjudged?: (warning: Warning) => void;
};

/**
 * ★ The only way from one stage to the next. The draft is written into the stage's job in the same step, so whoever gets
 * that job again hands the same draft off; the next job has a deterministic id; settle decides should two run after all.
 * What of a page is handed off to the same tier while another hand-off is under way goes together, as jobs of several
 * documents.
 */
export class HandOffs {
  readonly #redis: RedisStore;
  readonly #queues: Queues;
  readonly #loads: TierLoads;
  readonly #together: Together<HandingOff, HandedOff>;

  constructor(redis: RedisStore, queues: Queues) {
    this.#redis = redis;
    this.#queues = queues;
    this.#loads = new TierLoads(redis, queues);
    this.#together = new Together({
      run: (items) => this.#handOff(items as readonly [HandingOff, ...HandingOff[]]),
      groupOf: ({ job, tier }) => `${tier} ${pageMember(job.batch, job.page)}`,
      bytesOf: ({ draftIn, text }) => (draftIn === null ? 0 : text.length),
    });
  }

  /**
   * Prepares the hand-off of a document. The function that is returned may be called again until it succeeds: the draft
   * is charged and its start tag taken once, and its job stays the same, with the others that it has.
   */
  prepare(
    document: CascadeDocument,
    { draftIn, onWritten = () => undefined, isAgain = false, onUnjudged = () => undefined }: HandOffOptions = {},
  ): () => Promise<HandedOff> {
    const { job, rules } = document;
    const next = nextStageJob(document, Date.now());
    const tier = stageTier(rules, next.stage);
    const own = stageTier(rules, job.stage);
    const bytes = Buffer.byteLength(JSON.stringify(draftToHandOff(job)));
    const draft = [bytes, stageKey(job.cascade, job.stage), own, ...draftWords(document)];
    const text = JSON.stringify(job);
    const left = { isAgain, draftIn: draftIn ?? null, tag: null, add: null };
    const item: HandingOff = { job, text, next, tier, draft, onWritten, onUnjudged, ...left };
    return () => this.#together.ask(item);
  }

  /** Items of one page and one next tier. */
  async #handOff(items: readonly [HandingOff, ...HandingOff[]]): Promise<HandedOff[]> {
    const [{ tier }] = items;
    const answers = await this.#run(items);
    for (const [at, item] of items.entries()) {
      const [state, tag, , written = ''] = answers[at] ?? [];
      if (state === 'GO') item.tag = tag ?? null;
      if (written === '') continue;
      item.draftIn = null;
      // Whoever has its job now hands it off, too.
      if (written === 'GONE') item.isAgain = true;
      item.onWritten(written);
    }
    await this.#tell(items.filter((_, at) => answers[at]?.[2] === 1));
    const going = items.filter((_, at) => answers[at]?.[0] === 'GO');
    const fresh = going.filter(({ add }) => add === null);
    const first = fresh.filter(({ isAgain }) => !isAgain);
    this.#plan(tier, first, await this.#sizeFor(tier, first));
    const again = fresh.filter(({ isAgain }) => isAgain);
    this.#plan(tier, again, 1);
    // Each with those that it went together with first, whoever is here now.
    await Promise.all(going.map(async ({ add }) => await add?.()));
    return answers.map(([state]) => state);
  }

  async #run(items: readonly [HandingOff, ...HandingOff[]]): Promise<Answer[]> {
    const { keys, scripts } = this.#redis;
    const [{ job, tier }] = items;
    const written = items.flatMap(({ draftIn }) => (draftIn === null ? [] : lockedKeys(this.#redis, draftIn.held)));
    const names = [
      keys.epoch,
      keys.batch(job.batch),
      keys.sealed(job.batch),
      keys.page(job.batch, job.page),
      keys.inFlight,
      ...keys.tagInputs(tier),
      ...written,
    ];
    const args = [job.page, job.batch, LIMITS.queuePriority, keys.jobs(tier), pageMember(job.batch, job.page)];
    const drafts = items.flatMap(({ job: { place }, tag, draftIn, text, draft }) => {
      const into = draftIn === null ? ['', '', ''] : [draftIn.held.token, draftIn.field, text];
      return [place, tag ?? '', ...into, ...draft];
    });
    return (await script.run(scripts, names, [...args, ...drafts])) as Answer[];
  }

  /** Items that nobody has begun to add are added together, in jobs of so many. */
  #plan(tier: string, fresh: readonly HandingOff[], size: number): void {
    if (fresh.length === 0) return;
    const jobs = fresh.map(({ next }) => next);
    const add = once(() => this.#queues.add(tier, jobs, (at) => fresh[at]?.tag ?? 1, { size }));
    for (const item of fresh) item.add = add;
  }

  /** They come as they come: what waits behind them does not matter, as nothing lingered for them. */
  async #sizeFor(tier: string, items: readonly HandingOff[]): Promise<number> {
    if (items.length < 2) return 1;
    const bytesPerDocument = items.reduce((sum, { text }) => sum + text.length, 0) / items.length;
    return bundleSize({ ...(await this.#loads.workers(tier)), waiting: Number.POSITIVE_INFINITY, bytesPerDocument });
  }

  async #tell(items: readonly HandingOff[]): Promise<void> {
    for (const { job, onUnjudged } of items) {
      const warning = await readWarning(this.#redis, job.batch, job);
      if (warning !== null) onUnjudged(warning);
    }
  }
}

/** Acts until that went well once; whoever asks meanwhile, or later, has the same. */
function once(act: () => Promise<void>): () => Promise<void> {
  let acting: Promise<void> | null = null;
  return async () => {
    const now = (acting ??= act());
    await now.catch((error: unknown) => {
      if (acting === now) acting = null;
      throw error;
    });
  };
}

/** What the script is to count of a draft and keep of what its server said. */
function draftWords({ job }: CascadeDocument): (string | number)[] {
  const { reason = '', said = '', refusal = '', attempts = [] } = draftToHandOff(job) ?? {};
  const error = attempts.at(-1)?.error ?? null;
  // Only what an error over HTTP said is fit for a log: anything else may be an answer, which is content.
  const words = error !== null && /^\d{3}$/.test(error.type) ? (error.said ?? '') : refusal;
  const unjudged = reason !== '' && isUnjudged(reason) ? reason : '';
  const { firstDrafts, firstDraftsMin, saidTexts } = LIMITS;
  return [unjudged, words, firstDrafts, firstDraftsMin, reasonCounter(job.cascade, job.stage, reason), said, saidTexts];
}
