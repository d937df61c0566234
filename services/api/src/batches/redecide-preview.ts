import {
  answerText,
  isBadLine,
  nanoUsd,
  readCounts,
  readingDelivered,
  readingKept,
  redecide,
  rulesAnew,
  settledAnswer,
  stageCounts,
  type CascadeRules,
  type Counts,
  type DeliveredAnswer,
  type KeptDocument,
  type Redecided,
  type Selection,
  type Usage,
} from '@spillway/core';
import { runSliced } from '@spillway/runtime';
import {
  readKeptPage,
  readPageCopies,
  type BatchPlan,
  type KeptPlace,
  type Records,
  type Storage,
} from '@spillway/storage';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { tooMany, unavailable } from '../errors.ts';
import { onceGone } from '../gone.ts';
import { TenantShares } from '../tenant-shares.ts';
import { Labelled, labelledDocuments } from './labelled.ts';

const count = z.int().min(0);

/** What would come of deciding a batch anew. */
export const redecisionPreview = z
  .strictObject({
    object: z.literal('batch.redecision'),
    id: z.string().meta({ description: 'The id that the batch would have.' }),
    redecided_from: z.string(),
    documents: z.strictObject({
      total: count,
      kept: count.meta({ description: 'Those whose answers are known: nobody is asked.' }),
      asked: count,
      drafted_again: count.meta({
        description:
          'Of the asked ones, those whose draft was stopped too early to say whether it would be final now, or was put ' +
          'together by a stage in between that was asked for single values; and those that `ask_again` is about.',
      }),
      anew: count.meta({ description: 'Of the asked ones, those of which nothing is known, as they had expired.' }),
      copied: count.meta({ description: 'Those that get the answer of an equal document of the batch.' }),
      bad: count.meta({ description: 'Lines that are no requests.' }),
    }),
    stages: z
      .array(z.strictObject({ cascade: z.string(), stage: z.int().min(1), model: z.string(), documents: count }))
      .meta({
        description: 'At which stages documents are asked first; those of which nothing is known are in none of them.',
      }),
    usd: z
      .strictObject({ least: z.number(), most: z.number() })
      .nullable()
      .meta({
        description:
          'About what that costs, by what the stages took of a document in the batch before: if each is answered by ' +
          'the first stage that is asked, and if each goes on to the last one. Null: a model has no price.',
      }),
    labelled: labelledDocuments,
  })
  .meta({ id: 'BatchRedecision', description: 'What would come of deciding a batch by other thresholds.' });

export type RedecisionPreview = z.input<typeof redecisionPreview>;

/** An ended batch that is to be decided anew, and by which rules. */
export type Redeciding = {
  /** Of the ended batch. */
  readonly plan: BatchPlan;
  /** Of the new one, which whoever asks for the same thresholds derives, too. */
  readonly id: string;
  /** Its rules. */
  readonly cascades: Readonly<Record<string, CascadeRules>>;
  /** Of results that are decided otherwise than by thresholds; null: none is. */
  readonly selection: Selection | null;
};

/** Which stage of which cascade a document would be asked at first. */
type Asking = { readonly cascade: string; readonly stage: number; readonly known: KeptDocument };

/** Previews of a process at a time, and what one that is too many is told. */
const MAX_PREVIEWS = 4;
const BUSY_SECONDS = 5;

type PreviewSources = { readonly storage: Storage; readonly records: Records };

/** Says what would come of deciding batches anew, of a few at a time: each looks at all of a batch. */
export class Previews {
  readonly #running: TenantShares;
  readonly #signal: AbortSignal;

  /** `signal` is aborted when the API ends. */
  constructor({ isShared, signal }: { readonly isShared: boolean; readonly signal: AbortSignal }) {
    this.#running = new TenantShares(MAX_PREVIEWS, { isShared });
    this.#signal = signal;
  }

  /** Looks for as long as somebody waits for it. */
  async of(
    sources: PreviewSources,
    redeciding: Redeciding,
    { tenant, reply }: { readonly tenant: string; readonly reply: FastifyReply },
  ): Promise<RedecisionPreview> {
    if (this.#running.take(tenant, 1) !== null) {
      throw tooMany('There are too many previews. Wait for one to end.', BUSY_SECONDS, 'too_many_previews');
    }
    const gone = new AbortController();
    onceGone(reply, () => gone.abort());
    try {
      return await previewRedecision(sources, redeciding, AbortSignal.any([gone.signal, this.#signal]));
    } finally {
      this.#running.giveBack(tenant, 1);
    }
  }
}

/** Goes through all pages of an ended batch, as a dispatcher would that enqueued the new one. */
async function previewRedecision(
  { storage, records }: PreviewSources,
  { plan, id, cascades, selection }: Redeciding,
  signal: AbortSignal,
): Promise<RedecisionPreview> {
  const { manifest } = plan;
  const final = await records.final(manifest.id);
  const prices = new Prices(cascades, plan, readCounts(final ?? { counts: {} }));
  const documents = { total: plan.total, kept: 0, asked: 0, drafted_again: 0, anew: 0, copied: 0, bad: 0 };
  const stages = new Map<string, RedecisionPreview['stages'][number]>();
  const labelled = await Labelled.of(storage, plan);
  for (const [page, { first, documents: size }] of plan.pages.entries()) {
    const read = await readKeptPage(storage, { batch: manifest.id, page, first });
    const copies = await readPageCopies(storage, plan, page);
    const known: ReadonlyMap<number, KeptPlace> = read.kind === 'kept' ? read.documents : new Map();
    const reviewed = await labelled.reviewed(Array.from(known.keys(), (place) => first + place));
    for (let place = 0; place < size; place += 1) {
      if (signal.aborted) throw unavailable('Nobody waits for this preview any more.');
      if (isBadLine(plan.badLines, first + place)) {
        documents.bad += 1;
        continue;
      }
      const kept = known.get(place);
      const made = kept === undefined ? null : await decide(kept, { plan, cascades, selection });
      if (made !== null && (reviewed.has(first + place) || labelled.isDrawn(first + place))) {
        const { customId, cascade } = made.known;
        const { agreement } = cascades[cascade] ?? {};
        await labelled.add({
          customId,
          agreement,
          reviewed: reviewed.get(first + place),
          now: answerText(made.delivered?.body),
          after: afterwards(made),
        });
      }
      if (made === null) {
        if (copies.kind === 'read' && copies.firsts.has(place)) documents.copied += 1;
        else {
          documents.anew += 1;
          documents.asked += 1;
          prices.addUnknown();
        }
      } else if (made.decided.kind === 'settled') documents.kept += 1;
      else if (copies.kind === 'read' && copies.firsts.has(place)) documents.copied += 1;
      else {
        const { known: said, decided } = made;
        const asking = { cascade: said.cascade, stage: decided.drafts.length, known: said };
        documents.asked += 1;
        if (decided.isDraftedAgain) documents.drafted_again += 1;
        prices.add(asking);
        note(stages, asking, cascades);
      }
    }
  }
  return {
    object: 'batch.redecision',
    id,
    redecided_from: manifest.id,
    documents,
    stages: [...stages.values()].toSorted((left, right) => left.stage - right.stage),
    usd: prices.total,
    labelled: await labelled.total(),
  };
}

type Decided = {
  readonly known: KeptDocument;
  /** The answer that it has; null: it has none. */
  readonly delivered: DeliveredAnswer | null;
  readonly decided: Redecided;
};

/** The text of the answer that it would have; undefined: that is to be asked for. */
function afterwards({ known: kept, decided }: Decided): string | null | undefined {
  return decided.kind === 'asked' ? undefined : answerText(settledAnswer({ kept, decided })?.body);
}

/** Null: nothing is known of it. */
async function decide(
  { kept: text, line }: KeptPlace,
  { plan, cascades, selection }: Pick<Redeciding, 'plan' | 'cascades' | 'selection'>,
): Promise<Decided | null> {
  const delivered = line === null ? null : await runSliced(readingDelivered(line));
  const known = await runSliced(readingKept(text, delivered));
  const rules = cascades[known?.cascade ?? ''];
  if (known === null || rules === undefined) return null;
  const { endpoint } = plan.manifest;
  // The request itself says only whether its answer repeats it, and of such an answer no values are asked for.
  const own = await runSliced(rulesAnew(rules, selection, line));
  if (own === null) return { known, delivered, decided: { kind: 'asked', drafts: [], isDraftedAgain: true } };
  const decided = await runSliced(redecide({ kept: known, rules: own, endpoint, body: {} }));
  return { known, delivered, decided };
}

function note(
  stages: Map<string, RedecisionPreview['stages'][number]>,
  { cascade, stage }: Asking,
  cascades: Redeciding['cascades'],
): void {
  const key = `${cascade}/${stage + 1}`;
  const { documents = 0 } = stages.get(key) ?? {};
  const model = cascades[cascade]?.stages[stage]?.model ?? '';
  stages.set(key, { cascade, stage: stage + 1, model, documents: documents + 1 });
}

/** What the documents of a stage cost each, as far as it is known from the batch before. */
class Prices {
  readonly #cascades: Redeciding['cascades'];
  readonly #plan: BatchPlan;
  readonly #counts: Counts;
  #least = 0;
  #most = 0;
  #isKnown = true;

  constructor(cascades: Redeciding['cascades'], plan: BatchPlan, counts: Counts) {
    this.#cascades = cascades;
    this.#plan = plan;
    this.#counts = counts;
  }

  get total(): { least: number; most: number } | null {
    return this.#isKnown ? { least: this.#least / 1e9, most: this.#most / 1e9 } : null;
  }

  add({ cascade, stage, known }: Asking): void {
    const rules = this.#cascades[cascade];
    if (rules === undefined) return;
    const costs = this.#costs(cascade, rules, known.stages.at(-1)?.usage ?? null).slice(stage);
    this.#least += costs[0] ?? 0;
    this.#most += costs.reduce((sum, one) => sum + one, 0);
  }

  /** Of which cascade it is nobody looks up: it counts as a part of each that the batch has. */
  addUnknown(): void {
    const names = Object.keys(this.#plan.cascades);
    for (const name of names) {
      const rules = this.#cascades[name];
      const costs = rules === undefined ? [] : this.#costs(name, rules, null);
      this.#least += (costs[0] ?? 0) / names.length;
      this.#most += costs.reduce((sum, one) => sum + one, 0) / names.length;
    }
  }

  /** What a document costs at each stage: what those did that were asked there, or as if it answered as another stage did. */
  #costs(cascade: string, { stages }: CascadeRules, usage: Usage | null): number[] {
    return stages.map(({ price }, stage) => {
      if (price === null) this.#isKnown = false;
      const own = stageCounts(this.#counts, cascade, stage);
      const asked = own.accepted + own.escalated + own.answered + own.failed;
      if (asked > 0 && own.nanoUsd > 0) return own.nanoUsd / asked;
      return usage === null ? 0 : nanoUsd({ ...usage, cachedTokens: 0 }, price);
    });
  }
}
