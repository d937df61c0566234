import { existsSync, readFileSync } from 'node:fs';
import {
  calibrationArtefact,
  parseJson,
  price,
  sameAnswer,
  sameSignal,
  SHADOW_SIGNALS,
  SIGNALS,
  signalSpec,
  usd,
  type CalibrationArtefact,
  type CalibrationUse,
  type PricedTokens,
  type SignalSpec,
} from '@spillway/core';
import { z } from 'zod';
import { UserError, type ApiClient } from '../client.ts';
import { readDrafts, scoreBy, type DecidedDocument, type DraftedDocument } from './drafts.ts';
import type { LabelledDraft } from './judge.ts';
import { readLabels, type Label } from './labels.ts';
import type { CalibrateOptions } from './options.ts';
import { makeReport, type CalibrationReport } from './report.ts';
import { readBatch, runSample } from './sample.ts';

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

/** The stage that is calibrated, and the expert that would answer in its place. */
type Calibrated = { readonly stage: Stage; readonly own: SignalSpec; readonly expert: Stage };

/** Calibrates a stage by a finished batch: by labels, or by agreement with the expert on a sample. */
export async function calibrate(
  api: ApiClient,
  options: CalibrateOptions,
  { tell, now }: { readonly tell: (line: string) => void; readonly now: Date },
): Promise<{
  readonly report: CalibrationReport;
  readonly artefact: CalibrationArtefact | null;
  /** Where the artefact goes. */
  readonly path: string;
}> {
  const source = await readBatch(api, options.batch);
  const decided = chosenCascade(await readDrafts(api, options.batch, options.stage), options);
  const cascade = decided[0]?.cascade ?? '';
  const calibrated = await readStage(api, cascade, options.stage);
  const { stage, own, expert } = calibrated;
  const signal = options.signal ?? own;
  const { server } = stage;
  const use = { cascade, stage: options.stage, ask: stage.ask, model: stage.model, server, signal };
  const path = options.out ?? `${cascade}.${options.stage === 1 ? '' : `${stage.name}.`}calibration.json`;
  // Before the sample is paid for.
  refuseOverwriting(path, options.out !== null, use);
  if (options.labels === null) refuseHopeless(draftsIn(decided), signal, own);
  const labels =
    options.labels === null ? null : readLabels(options.labels, new Set(decided.map(({ customId }) => customId)));
  const seen = labels === null ? await sampleOf(api, source, { options, cascade, tell }) : decided;
  const drafts = draftsIn(seen);
  if (options.stage > 1) tell(`${drafts.length} of ${seen.length} documents come to the stage ${options.stage}`);
  refuseOtherModel(drafts, calibrated, options);
  refuseStopped(drafts);
  const subject = {
    cascade,
    batch: options.batch,
    stage: options.stage,
    ask: stage.ask,
    accept_before: [...(drafts[0]?.acceptBefore ?? [])],
    drafter: stage.model,
    server,
    expert: expert.model,
    signal,
    basis: labels === null ? "agreement with the expert's answer" : `as ${options.labels} says`,
  };
  const found = labelled(drafts, labels, { ...calibrated, signal });
  return { ...makeReport(subject, found, { method: options.method, wish: options.wish, now }), path };
}

/** The documents of one cascade among a sample of a batch that every stage has answered. */
async function sampleOf(
  api: ApiClient,
  source: Awaited<ReturnType<typeof readBatch>>,
  { options, cascade, tell }: { options: CalibrateOptions; cascade: string; tell: (line: string) => void },
): Promise<DecidedDocument[]> {
  const id = await runSample(api, source, { count: options.sample, seed: options.seed, tell });
  const { documents } = await readDrafts(api, id, options.stage);
  return documents.filter((one) => one.cascade === cascade);
}

const draftsIn = (documents: readonly DecidedDocument[]): DraftedDocument[] =>
  documents.flatMap(({ drafted }) => (drafted === null ? [] : [drafted]));

/** The stage (from 1) of a cascade as it is configured now. */
async function readStage(api: ApiClient, cascade: string, stage: number): Promise<Calibrated> {
  const { stages } = modelObject.parse(await api.get(`/models/${encodeURIComponent(cascade)}`)).cascade;
  const own = stages[stage - 1];
  const expert = stages.at(-1);
  if (own !== undefined && expert !== undefined && own.signal !== null) return { stage: own, own: own.signal, expert };
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
  { batch, stage: number }: CalibrateOptions,
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
  const { cascade, stage, ask, model, signal } = data;
  const isSame =
    cascade === use.cascade &&
    stage === use.stage &&
    ask === use.ask &&
    model === use.model &&
    sameSignal(signal, use.signal);
  if (isNamed || isSame) return;
  throw new UserError(
    `${path} is a calibration of ${cascade}, stage ${stage}, ${model} and ${JSON.stringify(signal)}: name a file with --out`,
  );
}

function chosenCascade(
  { documents, silent }: Awaited<ReturnType<typeof readDrafts>>,
  { cascade, batch }: CalibrateOptions,
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

/** What surely cannot be calibrated is refused before it costs anything. */
function refuseHopeless(drafts: readonly DraftedDocument[], signal: SignalSpec, own: SignalSpec): void {
  if (!sameSignal(signal, own) && SIGNALS[signal.name].needs !== 'nothing') {
    throw new UserError(`the signal ${signal.name} needs calls of its own: make it the stage's signal first`);
  }
  const recorded = [own, { name: 'head' } as const, ...SHADOW_SIGNALS];
  if (!recorded.some((one) => sameSignal(signal, one))) {
    const expected = SHADOW_SIGNALS.map((one) => JSON.stringify(one)).join(', ');
    throw new UserError(
      `a sample says nothing of the signal ${JSON.stringify(signal)}: make it the stage's signal first, or choose one of ${expected}`,
    );
  }
  // In an ordinary batch perhaps no document came to a later stage; the sample decides then.
  if (drafts.length > 0 && drafts.every(({ score, isStopped }) => score === null && !isStopped))
    throw new UserError('no draft of this batch has a score: its server gives nothing that the signal could use');
}

/** What was given up early has no score, and drafts that are missing for being unsure would make the others look surer. */
function refuseStopped(drafts: readonly DraftedDocument[]): void {
  const stopped = drafts.filter(({ isStopped }) => isStopped).length;
  if (stopped === 0) return;
  throw new UserError(
    `${stopped} of ${drafts.length} drafts were given up early, so that nobody knows how sure they were: calibrate by a batch with the metadata "spillway.shadow": "true", or whose cascade has \`stop_early: false\``,
  );
}

function labelled(
  drafts: readonly DraftedDocument[],
  labels: ReadonlyMap<string, Label> | null,
  calibrated: Calibrated & { readonly signal: SignalSpec },
): LabelledDraft[] {
  const { signal, own } = calibrated;
  const found = drafts.flatMap((document): LabelledDraft[] => {
    const label = labels?.get(document.customId);
    if (labels !== null && label === undefined) return [];
    const right = isRight(document.draft, label, document.expert);
    if (right === null) return [];
    const score = signal.name === 'head' ? null : scoreBy(document, signal, own);
    const isUnknown =
      signal.name === 'head' ? document.features === null && document.scores === null : score === undefined;
    if (isUnknown) {
      throw new UserError(
        `the batch does not tell of the signal ${JSON.stringify(signal)}: calibrate it with --sample, or by a batch with the metadata "spillway.shadow": "true"`,
      );
    }
    // Where nobody can say whether the expert is right it is taken to be: what the cascade gives is at most that.
    const hasAnswer = label !== undefined && 'answer' in label && document.expert !== null;
    const expertRight = hasAnswer ? sameAnswer(document.expert, label.answer) : true;
    const isExpertAssumed = label !== undefined && !hasAnswer;
    const judged = { right, expertRight, isExpertAssumed };
    const { features, format } = document;
    return [{ score: score ?? null, features, format, ...judged, ...costOf(document, calibrated) }];
  });
  if (found.length === 0) throw new UserError('no labelled document has a draft that could be compared');
  return found;
}

/** Whether an answer is right by its label, or says what the expert says; null: nobody can say. */
function isRight(answer: string | null, label: Label | undefined, expert: string | null): boolean | null {
  if (label !== undefined && 'correct' in label) return label.correct;
  const wanted = label === undefined ? expert : label.answer;
  return answer === null || wanted === null ? null : sameAnswer(answer, wanted);
}

/** What the stage's own draft cost, and what the expert's answer to the same document costs. */
function costOf(
  { draftTokens, expertTokens }: DraftedDocument,
  { stage, expert }: Calibrated,
): Pick<LabelledDraft, 'draftUsd' | 'expertUsd'> {
  const cost = (tokens: PricedTokens, at: Stage['price']): number | null => (at === null ? null : usd(tokens, at));
  // What the expert would have read and written is taken to be what the drafter did, as the report of a batch does.
  return { draftUsd: cost(draftTokens, stage.price), expertUsd: cost(expertTokens ?? draftTokens, expert.price) };
}
