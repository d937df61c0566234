import {
  bundleSize,
  draftToHandOff,
  isUnjudged,
  jobTextOf,
  LIMITS,
  nextStageJob,
  reasonCounter,
  stageKey,
  stageTier,
  type CascadeDocument,
  type DocumentJob,
  type Warning,
} from '@spillway/core';
import { lockedKeys, writeDocument, type DocumentField, type HeldJob, type Written } from './jobs.ts';
import { pageMember } from './keys.ts';
import { JOB_OPTIONS, namesOf } from './new-job.ts';
import type { Queues } from './queues.ts';
import { Script } from './script.ts';
import type { RedisStore } from './store.ts';
import { TierLoads } from './tier-loads.ts';
import { allOrEach, Together } from './together.ts';
import { readWarning } from './words.ts';

/** What became of a hand-off. */
export type HandedOff = 'GO' | 'ALREADY' | 'CLOSED' | 'RECOVERING';

const script = new Script(
  'handoff',
  'lists_from',
  'move_down',
  'documents_of',
  'fair',
  'said',
  'drafts',
  'has_left',
  'add_job',
);

/** A document on its way to the next stage. */
type HandingOff = HandOffOptions & {
  readonly job: DocumentJob;
  readonly next: DocumentJob;
  /** The same as JSON. */
  readonly text: string;
  readonly tier: string;
  /** What its draft takes in Redis. */
  readonly bytes: number;
  /** What the script is to know of the draft. */
  readonly draft: readonly (string | number)[];
};

/** What the script says, in the end of each draft; APART: each of several is to come by itself. */
type Answer = [state: HandedOff | 'APART', ...areUnjudged: (0 | 1)[]];

export type HandOffOptions = {
  /** Where the worker has the document from: it leaves that job. */
  readonly from: DocumentField;
  /** Somebody else may have handed it off, too: it goes as a job of its own, whose id only this document can have. */
  readonly isAgain: boolean;
  /** Called where the draft was to be written there, as it cannot be handed off, with whether that could be done. */
  readonly onWritten: (written: Written) => void;
  /** None of the stage's first drafts in this batch could be judged: called once for a batch and a tier. */
  readonly onUnjudged: (warning: Warning) => void;
};

/**
 * ★ The only way from one stage to the next: a document leaves its stage's job and has the next one's in one step, so
 * whoever gets the first of them again has nothing to do. Where that job itself is gone before its worker knows of the
 * step, two may run; settle decides. What of a page is handed off to the same tier while another hand-off is
 * under way goes together, as jobs of several documents.
 */
export class HandOffs {
  readonly #redis: RedisStore;
  readonly #loads: TierLoads;
  readonly #together: Together<HandingOff, HandedOff>;

  constructor(redis: RedisStore, queues: Pick<Queues, 'depth'>) {
    this.#redis = redis;
    this.#loads = new TierLoads(redis, queues);
    this.#together = new Together({
      run: (items) => allOrEach(items, (some) => this.#handOff(some as readonly [HandingOff, ...HandingOff[]])),
      groupOf: ({ job, tier, isAgain }) => `${tier} ${pageMember(job.batch, job.page)} ${isAgain ? job.place : ''}`,
      bytesOf: ({ text }) => text.length,
    });
  }

  /**
   * Prepares the hand-off of a document. The function that is returned may be called again until Redis has answered: as
   * long as the document's job is there it is handed off once. Where Redis does not take it the draft is written into the job that it is from, so that
   * whoever gets that goes on from it.
   */
  prepare(document: CascadeDocument, options: HandOffOptions): () => Promise<HandedOff> {
    const { job, rules } = document;
    const next = nextStageJob(document, Date.now());
    const tier = stageTier(rules, next.stage);
    const own = stageTier(rules, job.stage);
    const bytes = Buffer.byteLength(JSON.stringify(draftToHandOff(job)));
    const draft = [stageKey(job.cascade, job.stage), own, ...draftWords(document)];
    const item: HandingOff = { ...options, job, next, text: JSON.stringify(next), tier, bytes, draft };
    let isWritten = false;
    return async () => {
      const state = await this.#together.ask(item);
      if (isWritten || (state !== 'CLOSED' && state !== 'RECOVERING')) return state;
      options.onWritten(await writeDocument(this.#redis, options.from, job));
      isWritten = true;
      return state;
    };
  }

  /** Items of one page and one next tier. */
  async #handOff(items: readonly [HandingOff, ...HandingOff[]]): Promise<HandedOff | 'APART'> {
    const { keys, scripts } = this.#redis;
    const [{ job, tier }] = items;
    const origins = originsOf(items);
    const names = [
      keys.epoch,
      keys.batch(job.batch),
      keys.sealed(job.batch),
      keys.page(job.batch, job.page),
      keys.inFlight,
      keys.startTags(tier),
      ...keys.addInputs(tier),
      ...origins.flatMap(({ held }) => lockedKeys(this.#redis, held)),
    ];
    const bytes = items.reduce((sum, item) => sum + item.bytes, 0);
    const member = pageMember(job.batch, job.page);
    const facts = [job.page, job.batch, member, LIMITS.queuePriority, keys.jobs(tier), OPTIONS, Date.now(), bytes];
    const lists = [
      items.map(({ job: { place } }) => place),
      origins.flatMap(({ held, places }) => [held.token, places.join(',')]),
      newJobsOf(items, await this.#sizeFor(tier, items)),
      items.flatMap(({ draft }) => draft),
    ];
    const args = [...facts, ...lists.map(({ length }) => length), ...lists.flat()];
    const [state, ...areUnjudged] = (await script.run(scripts, names, args)) as Answer;
    // They are handed off, whatever becomes of this: the batch has the warning in any case.
    await this.#tell(items.filter((_, at) => areUnjudged[at] === 1)).catch(() => undefined);
    return state;
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

const OPTIONS = JSON.stringify(JOB_OPTIONS);

/** The jobs that documents are from, each with the places of its documents. */
function originsOf(items: readonly HandingOff[]): { readonly held: HeldJob; readonly places: number[] }[] {
  const origins = new Map<string, { readonly held: HeldJob; readonly places: number[] }>();
  for (const {
    job,
    from: { held },
  } of items) {
    const key = `${held.tier} ${held.id} ${held.token}`;
    const known = origins.get(key);
    if (known === undefined) origins.set(key, { held, places: [job.place] });
    else known.places.push(job.place);
  }
  return [...origins.values()];
}

/** Jobs of so many documents: of each how many it has, its id, its name and its data. */
function newJobsOf(items: readonly HandingOff[], size: number): (string | number)[] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, at) => {
    const some = items.slice(at * size, (at + 1) * size);
    const { id, name } = namesOf(some.map(({ next }) => next));
    return [some.length, id, name, jobTextOf(some.map(({ text }) => text))];
  }).flat();
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
