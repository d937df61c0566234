import {
  digest,
  KEYS,
  OWN_LABELS,
  readCounts,
  RECORD_VERSION,
  RECORDS,
  REDECIDED_FROM_KEY,
  redecidedIdOf,
  SHADOW_KEY,
  THRESHOLD_KEYS,
  windowMs,
  type Aim,
  type BatchObject,
  type CascadeRules,
  type Manifest,
  type ThresholdSettings,
} from '@spillway/core';
import { createRecord, readFooters, type BatchPlan, type Storage } from '@spillway/storage';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import type { Caller } from '../auth.ts';
import { badRequest, conflict } from '../errors.ts';
import { ownBatch } from '../ownership.ts';
import { completionWindow } from '../schemas/parts.ts';
import { read } from '../schemas/read.ts';
import { placeBatch, type BatchPlaces } from './place.ts';
import { inputGone } from './retry-input.ts';
import { describeBatch } from './show.ts';
import type { Previews, RedecisionPreview } from './redecide-preview.ts';
import {
  aimedRules,
  aimLabel,
  readAim,
  readSelection,
  readThresholds,
  redecidedRules,
  thresholdLabel,
  writtenSelection,
  writtenThresholds,
} from './thresholds.ts';

/** Footers that are read before it is known that one of them speaks of drafts; nearly always the first does. */
const PAGES_AT_A_TIME = 16;

export const redecideQuery = z.object({
  preview: z
    .enum(['true', 'false'])
    .optional()
    .meta({ description: "'true': nothing is made, and what would come of it is answered." }),
});

/** Its thresholds stand in its rules. */
const NO_SETTINGS: ThresholdSettings = { kind: 'settings', settings: [] };

const windowOnly = z.object({ completion_window: completionWindow.nullish() });

/** Who waits for a preview. */
type Preview = { readonly previews: Previews; readonly reply: FastifyReply };

/**
 * Makes a batch of an ended one that decides the same documents by other thresholds: it keeps every answer that stands,
 * and asks for the difference. Its id is derived from that one's and the thresholds, so that there is one for each.
 */
export async function redecideBatch(
  places: BatchPlaces,
  caller: Caller,
  { id, body, preview }: { readonly id: string; readonly body: unknown; readonly preview: Preview | null },
): Promise<BatchObject | RedecisionPreview> {
  const { records } = places;
  const manifest = await ownBatch(records, caller.tenant, id);
  const plan = await endedPlan(places, manifest);
  const aim = readAim(body, plan.cascades);
  const selected = readSelection(body, plan.cascades);
  const asked = aim === null && selected === null ? readThresholds(body, plan.cascades) : {};
  const window = read(windowOnly, body).completion_window ?? null;
  const named = aim === null ? redecidedRules(plan.cascades, asked) : aimedRules(plan.cascades, aim);
  const written = selected === null ? writtenOf(aim, named) : JSON.stringify({ [selected.what]: selected.text });
  const derivedId = redecidedIdOf(caller.tenant, id, written);
  const cascades = { ...redecidedRules(manifest.cascades, {}), ...named };
  const redeciding = { plan, id: derivedId, cascades, selection: selected };
  const standing = await records.manifest(derivedId);
  if (standing !== null && preview === null) return describeBatch(places, standing);
  await refuseWhatIsGone(places, plan);
  if (aim?.kind === 'promise') refuseCertified(await describeBatch(places, manifest), aim);
  if (preview !== null && aim !== null) {
    throw badRequest(`Nobody knows before what a '${aim.kind}' comes to: its thresholds are found by a sample.`, {
      param: 'preview',
    });
  }
  if (preview !== null)
    return await preview.previews.of(places, redeciding, { tenant: caller.tenant, reply: preview.reply });
  const { endpoint, metadata, outputExpiresAfterSeconds } = manifest;
  const order = {
    endpoint,
    completionWindow: window ?? manifest.completionWindow,
    windowMs: windowMs(window ?? manifest.completionWindow) ?? manifest.expiresAtMs - manifest.createdAtMs,
    metadata: {
      ...labelsOf(metadata),
      ...(selected === null ? labelOf(aim, named) : {}),
      [REDECIDED_FROM_KEY]: id,
    },
    thresholds: NO_SETTINGS,
    outputExpiresAfterSeconds,
  };
  const input = async (anew: string) => {
    // From now on the old batch's pages stay; they stand, as its files did a moment ago.
    const mark = { v: RECORD_VERSION, atMs: Date.now() } as const;
    await createRecord(places.storage, KEYS.redecision(id, anew), RECORDS.redecision, mark);
    return {
      fileId: manifest.inputFileId,
      redecided: { from: id, ...writtenSelection(selected) },
    };
  };
  const documents = async (): Promise<number> => plan.total;
  const requestDigest = digest('redecide', id, written);
  return placeBatch(places, caller, { order, input, documents, derivedId, requestDigest, cascades });
}

const writtenOf = (aim: Aim | null, named: Readonly<Record<string, CascadeRules>>): string =>
  aim === null ? writtenThresholds(named) : JSON.stringify(aim);

const labelOf = (aim: Aim | null, named: Readonly<Record<string, CascadeRules>>): Record<string, string> =>
  aim === null ? thresholdLabel(named) : aimLabel(aim);

/** What is promised already is not to be found anew: that would cost a sample, and change nothing for the better. */
function refuseCertified(
  { id, spillway }: BatchObject,
  { agreement, certainty }: Extract<Aim, { kind: 'promise' }>,
): void {
  const { thresholds } = spillway;
  const promised = thresholds.map(({ outcome, promise }) => {
    const isKept = outcome === 'certified' && promise !== null && promise.certainty >= certainty;
    return isKept && 'agreement' in promise ? promise.agreement : 0;
  });
  const least = Math.min(...promised);
  if (promised.length === 0 || least < agreement) return;
  const message =
    `The batch '${id}' is certified already: an agreement of ${least} includes one of ${agreement}. ` +
    'Its answers stand as they are, and nothing is to be paid.';
  throw conflict(message, 'already_certified');
}

/** What the new batch is told besides its thresholds: what made the old one is no matter of this one. */
function labelsOf(metadata: Manifest['metadata']): Record<string, string> {
  const made = new Set([SHADOW_KEY, ...THRESHOLD_KEYS, ...OWN_LABELS]);
  const own = Object.entries(metadata ?? {}).filter(([key]) => !made.has(key));
  return Object.fromEntries(own);
}

/** The plan of a batch that has ended with documents; refuses any other. */
async function endedPlan(places: BatchPlaces, manifest: Manifest): Promise<BatchPlan> {
  const { records } = places;
  const { id } = manifest;
  const [final, plan] = await Promise.all([records.final(id), records.plan(id)]);
  if (final === null) {
    const { status } = await describeBatch(places, manifest);
    throw conflict(`Cannot decide a batch with status '${status}' anew: it has not ended.`);
  }
  if (plan === null || plan.total === 0)
    throw conflict(`The batch '${id}' has no documents that could be decided anew.`);
  return plan;
}

/** Refuses a batch of which there is not what a new one needs: its files, its models, what its documents were judged by. */
async function refuseWhatIsGone(
  { records, storage, configuration }: BatchPlaces,
  { manifest, pages, cascades }: BatchPlan,
): Promise<void> {
  const { id } = manifest;
  const nowMs = Date.now();
  if ((await records.standingFile(manifest.inputFileId, nowMs)) === null) throw inputGone(manifest);
  const final = await records.final(id);
  const results = final?.outputFileId ?? final?.errorFileId ?? null;
  if (results === null || (await records.standingFile(results, nowMs)) === null) {
    throw conflict('The results of this batch are gone.', 'results_gone');
  }
  for (const { stages } of Object.values(cascades)) {
    const lost = stages.find(({ model }) => configuration.models[model] === undefined);
    if (lost === undefined) continue;
    throw conflict(`The model '${lost.model}' of this batch is not in the configuration any more.`, 'model_gone');
  }
  if (final !== null && readCounts(final).completed > 0) await refuseWithoutDrafts(storage, id, pages.length);
}

/** Refuses a batch that was answered before drafts were kept: all of it would be asked again. */
async function refuseWithoutDrafts(storage: Storage, batch: string, pages: number): Promise<void> {
  for (let first = 0; first < pages; first += PAGES_AT_A_TIME) {
    const some = Array.from({ length: Math.min(PAGES_AT_A_TIME, pages - first) }, (_, at) => first + at);
    const footers = await readFooters(storage, batch, some);
    if (footers.includes(null)) throw conflict('The results of this batch are gone.', 'results_gone');
    if (footers.some((footer) => footer?.draftsPart !== undefined)) return;
  }
  const message =
    `The batch '${batch}' was answered by an older Spillway, which kept no drafts: nothing is known to decide by. ` +
    'Create a new batch of its input file instead.';
  throw conflict(message, 'no_drafts');
}
