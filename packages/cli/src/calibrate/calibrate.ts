import { existsSync, readFileSync } from 'node:fs';
import {
  calibrationArtefact,
  parseJson,
  price,
  sameSignal,
  signalSpec,
  type CalibrationArtefact,
  type CalibrationUse,
  type SignalSpec,
} from '@spillway/core';
import { z } from 'zod';
import { UserError, type ApiClient } from '../client.ts';
import { costBeforehand, draftsIn, drawable, refuseHopeless, signalsOfSample } from './before-sample.ts';
import { readDrafts, scoreBy, type DecidedDocument, type DraftedDocument } from './drafts.ts';
import { fieldDrafts, refuseField } from './field.ts';
import { labelled } from './labelled.ts';
import { readLabels, type Label } from './labels.ts';
import type { CalibrateOptions } from './options.ts';
import { makeReport, type CalibrationReport } from './report.ts';
import { drawSample, readBatch, sampleEnds, sourceOf } from './sample.ts';

/** What a calibration reads of a cascade in the API's list of models. */
const stageObject = z.object({
  name: z.string(),
  model: z.string(),
  server: z.string(),
  ask: calibrationArtefact.shape.ask,
  price: price.nullable(),
  signal: signalSpec.nullable(),
});
const modelObject = z.object({ cascade: z.object({ stages: z.array(stageObject).min(2) }) });
type Stage = z.output<typeof stageObject>;

/** The stage that is calibrated, the expert that would answer in its place, and all stages. */
type Calibrated = {
  readonly stage: Stage;
  readonly own: SignalSpec;
  readonly expert: Stage;
  readonly stages: readonly Stage[];
};

/** What is told while a calibration is under way. */
type Told = {
  readonly tell: (line: string) => void;
  /** A sample is being paid for from now on: whoever stops here can go on with it. */
  readonly drawn: (sample: string) => void;
  readonly now: Date;
};

type Calibration = {
  readonly report: CalibrationReport;
  readonly artefact: CalibrationArtefact | null;
  /** Where the artefact goes. */
  readonly path: string;
};

/**
 * Calibrates a stage by a finished batch: by labels, by agreement with the expert on a sample, or by labels on a sample,
 * on which both were asked.
 */
export async function calibrate(api: ApiClient, options: CalibrateOptions, told: Told): Promise<Calibration> {
  const { from } = options;
  if (from !== null) await sampleEnds(api, from, told.tell);
  const drawnFrom = from === null ? null : sourceOf(await readBatch(api, from));
  if (options.batch !== null && drawnFrom !== null && options.batch !== drawnFrom)
    throw new UserError(`${from} was drawn from ${drawnFrom}, not from ${options.batch}`);
  const batch = options.batch ?? drawnFrom ?? '';
  const decided = chosenCascade(await readDrafts(api, batch, options.stage), options, batch);
  const cascade = decided[0]?.cascade ?? '';
  const calibrated = await readStage(api, cascade, options.stage);
  const { stage, own } = calibrated;
  const signal = options.signal ?? own;
  const { field } = options;
  const use = {
    cascade,
    stage: options.stage,
    ask: stage.ask,
    ...(field === null ? {} : { field }),
    model: stage.model,
    server: stage.server,
    signal,
  };
  const path = options.out ?? fileName(use, stage.name);
  // Before the sample is paid for.
  refuseOverwriting(path, options.out !== null, use);
  const labels =
    options.labels === null ? null : readLabels(options.labels, new Set(decided.map(({ customId }) => customId)));
  if (field !== null) refuseField(signal, labels);
  const source = { batch, decided, calibrated, labels, signal };
  const sample = from ?? (options.sample === null ? null : await sampleOf(api, source, { options, told }));
  const seen = sample === null ? decided : await sampled(api, sample, { options, cascade });
  const drafts = draftsIn(seen);
  if (options.stage > 1) told.tell(`${drafts.length} of ${seen.length} documents come to the stage ${options.stage}`);
  refuseOtherModel(drafts, calibrated, { batch: sample ?? batch, number: options.stage });
  refuseStopped(labels === null ? drafts : drafts.filter(({ customId }) => labels.has(customId)));
  const judged = field === null ? { drafts, labels } : fieldDrafts(drafts, labels, field);
  if (field !== null) told.tell(`${judged.drafts.length} values at ${field} in ${drafts.length} drafts`);
  return { ...reported({ ...source, ...judged, sample }, options, told.now), path };
}

/** Where a calibration goes that has no name. */
const fileName = ({ cascade, stage, field }: CalibrationUse, model: string): string =>
  [
    cascade,
    ...(stage === 1 ? [] : [model]),
    ...(field === undefined
      ? []
      : [
          field
            .replaceAll(/[^\p{L}\p{N}_-]+/gu, ' ')
            .trim()
            .replaceAll(' ', '-') || 'whole',
        ]),
    'calibration.json',
  ].join('.');

type Source = {
  readonly batch: string;
  readonly decided: readonly DecidedDocument[];
  readonly calibrated: Calibrated;
  readonly labels: ReadonlyMap<string, Label> | null;
  readonly signal: SignalSpec;
};

/** What its drafts say of the stage by each signal that they tell of; the artefact is of the one that was asked for. */
function reported(
  source: Source & { readonly drafts: readonly DraftedDocument[]; readonly sample: string | null },
  options: CalibrateOptions,
  now: Date,
): Omit<Calibration, 'path'> {
  const { batch, decided, calibrated, labels, signal, drafts, sample } = source;
  const { stage, own, expert } = calibrated;
  const { field } = options;
  const texts = sample === null ? undefined : new Map(draftsIn(decided).map((one) => [one.customId, one.draft]));
  const labelling = {
    labels,
    ...(texts === undefined ? {} : { labelledTexts: texts }),
    own,
    // A value has no price of its own.
    prices: field === null ? { stage: stage.price, expert: expert.price } : { stage: null, expert: null },
  };
  const by = (one: SignalSpec) => labelled(drafts, { ...labelling, signal: one });
  const isShadow = field === null && drafts.some(({ scores }) => scores !== null);
  // Of an answer that was put together of a draft and some values only the stage's own signal says something.
  const isTold = (one: SignalSpec): boolean => drafts.every((draft) => scoreBy(draft, one, own) !== undefined);
  const others = isShadow
    ? signalsOfSample(own).filter((one) => !sameSignal(one, signal) && (one.name === 'head' || isTold(one)))
    : [];
  const subject = {
    cascade: decided[0]?.cascade ?? '',
    batch,
    sample,
    stage: options.stage,
    ask: stage.ask,
    ...(field === null ? {} : { field }),
    accept_before: [...(drafts[0]?.acceptBefore ?? [])],
    accept_at: field === null ? (drafts[0]?.acceptAt ?? null) : null,
    drafter: stage.model,
    server: stage.server,
    expert: expert.model,
    signal,
    basis: labels === null ? "agreement with the expert's answer" : `as ${options.labels} says`,
  };
  const { method, wish } = options;
  const all = { drafts: by(signal), others: others.map((one) => ({ signal: one, drafts: by(one) })) };
  return makeReport(subject, all, { method, wish, now });
}

/** A sample of a batch, drawn now: its id, once it has ended. */
async function sampleOf(
  api: ApiClient,
  { batch, decided, calibrated, labels, signal }: Source,
  { options, told }: { readonly options: CalibrateOptions; readonly told: Told },
): Promise<string> {
  const { own, stages } = calibrated;
  refuseHopeless(draftsIn(decided), signal, own);
  const among = drawable(decided, labels, options.sample ?? 0);
  const count = Math.min(options.sample ?? 0, among.size);
  const cost = costBeforehand(decided, stages, count);
  const source = await readBatch(api, batch);
  const id = await drawSample(api, { source, count, seed: options.seed, among, cost, tell: told.tell });
  told.drawn(id);
  await sampleEnds(api, id, told.tell);
  return id;
}

/** The documents of one cascade in a sample that has ended. */
async function sampled(
  api: ApiClient,
  id: string,
  { options, cascade }: { readonly options: CalibrateOptions; readonly cascade: string },
): Promise<DecidedDocument[]> {
  const { documents } = await readDrafts(api, id, options.stage);
  return documents.filter((one) => one.cascade === cascade);
}

/** The stage (from 1) of a cascade as it is configured now. */
async function readStage(api: ApiClient, cascade: string, stage: number): Promise<Calibrated> {
  const { stages } = modelObject.parse(await api.get(`/models/${encodeURIComponent(cascade)}`)).cascade;
  const own = stages[stage - 1];
  const expert = stages.at(-1);
  if (own !== undefined && expert !== undefined && own.signal !== null)
    return { stage: own, own: own.signal, expert, stages };
  const last = stages.filter((one) => one.signal !== null).length;
  const expected =
    last === 1
      ? `1, the only stage of ${cascade} that judges drafts`
      : `1 to ${last}, the stages of ${cascade} that judge drafts`;
  throw new UserError(`--stage: expected ${expected}, got ${stage}`);
}

/** A batch tells of the models that it was made with. */
function refuseOtherModel(
  drafts: readonly DraftedDocument[],
  { stage }: Calibrated,
  { batch, number }: { readonly batch: string; readonly number: number },
): void {
  const other = drafts.find(({ model }) => model !== stage.name);
  if (other === undefined) return;
  throw new UserError(
    `${batch} was drafted by ${other.model}, but the stage ${number} is ${stage.name} now: calibrate by a newer batch`,
  );
}

/** What is no calibration is never written over; one for another use only where the file was named. */
function refuseOverwriting(path: string, isNamed: boolean, use: CalibrationUse): void {
  const text = existsSync(path) ? readFileSync(path, 'utf8') : null;
  if (text === null) return;
  const { success, data } = calibrationArtefact.safeParse(parseJson(text));
  if (!success) throw new UserError(`${path} is there and is no calibration: name another file with --out`);
  const { cascade, stage, ask, field, model, signal } = data;
  const isSame =
    cascade === use.cascade &&
    stage === use.stage &&
    ask === use.ask &&
    field === use.field &&
    model === use.model &&
    sameSignal(signal, use.signal);
  if (isNamed || isSame) return;
  throw new UserError(
    `${path} is a calibration of ${cascade}, stage ${stage}, ${field === undefined ? '' : `the value ${field}, `}${model} and ${JSON.stringify(signal)}: name a file with --out`,
  );
}

function chosenCascade(
  { documents, silent }: Awaited<ReturnType<typeof readDrafts>>,
  { cascade }: CalibrateOptions,
  batch: string,
): DecidedDocument[] {
  const names = [...new Set(documents.map((one) => one.cascade))];
  if (names.length === 0) {
    const why = silent > 0 ? ': its cascades have `annotate: false`, or it was never finished' : '';
    throw new UserError(`${batch} has no line that says how it was decided${why}`);
  }
  const chosen = cascade ?? (names.length === 1 ? names[0] : undefined);
  if (chosen !== undefined && names.includes(chosen)) return documents.filter((one) => one.cascade === chosen);
  throw new UserError(`--cascade: expected one of ${names.join(', ')}`);
}

/** What was given up early has no score, and drafts that are missing for being unsure would make the others look surer. */
function refuseStopped(drafts: readonly DraftedDocument[]): void {
  const stopped = drafts.filter(({ isStopped }) => isStopped).length;
  if (stopped === 0) return;
  throw new UserError(
    `${stopped} of ${drafts.length} drafts were given up early, so that nobody knows how sure they were: calibrate by a batch with the metadata "spillway.shadow": "true", or whose cascade has \`stop_early: false\``,
  );
}
