import { existsSync, readFileSync } from 'node:fs';
import {
  calibrationArtefact,
  parseJson,
  sameAnswer,
  SIGNALS,
  signalSpec,
  type CalibrationArtefact,
  type SignalSpec,
} from '@spillway/core';
import { z } from 'zod';
import { UserError, type ApiClient } from '../client.ts';
import { readDrafts, scoreBy, type DraftedDocument } from './drafts.ts';
import type { LabelledDraft } from './judge.ts';
import { readLabels, type Label } from './labels.ts';
import type { CalibrateOptions } from './options.ts';
import { makeReport, type CalibrationReport } from './report.ts';
import { readBatch, runSample } from './sample.ts';

const price = z.object({ input: z.number(), output: z.number() }).nullable();
const tier = z.object({ name: z.string(), model: z.string(), price });
const model = z.object({ cascade: z.object({ drafter: tier, expert: tier, signal: signalSpec }) });
type Tier = z.output<typeof tier>;

/** Calibrates a cascade by a finished batch: by labels, or by agreement with the expert on a sample. */
export async function calibrate(
  api: ApiClient,
  options: CalibrateOptions,
  { tell, now }: { readonly tell: (line: string) => void; readonly now: Date },
): Promise<{ readonly report: CalibrationReport; readonly artefact: CalibrationArtefact | null }> {
  const source = await readBatch(api, options.batch);
  const drafted = chosenCascade(await readDrafts(api, options.batch), options);
  const cascade = drafted[0]?.cascade ?? '';
  const { cascade: made } = model.parse(await api.get(`/models/${encodeURIComponent(cascade)}`));
  const signal = options.signal ?? made.signal;
  // Before the sample is paid for.
  refuseOverwriting(options.out, { cascade, model: made.drafter.model, signal });
  if (options.labels === null) refuseHopeless(drafted, signal, made.signal);
  const labels =
    options.labels === null ? null : readLabels(options.labels, new Set(drafted.map(({ customId }) => customId)));
  const seen =
    labels !== null
      ? drafted
      : (
          await readDrafts(api, await runSample(api, source, { count: options.sample, seed: options.seed, tell }))
        ).drafts.filter((one) => one.cascade === cascade);
  const subject = {
    cascade,
    batch: options.batch,
    drafter: made.drafter.model,
    expert: made.expert.model,
    signal,
    basis: labels === null ? "agreement with the expert's answer" : `as ${options.labels} says`,
  };
  const drafts = labelled(seen, labels, { signal, own: made.signal, tiers: made });
  return makeReport(subject, drafts, { method: options.method, wish: options.wish, now });
}

/** The file that a calibration is written to. */
export const fileOf = (out: string | null, cascade: string): string => out ?? `${cascade}.calibration.json`;

/** What is no calibration is never written over; one for something else only where the file was named. */
function refuseOverwriting(out: string | null, made: Pick<CalibrationArtefact, 'cascade' | 'model' | 'signal'>): void {
  const path = fileOf(out, made.cascade);
  const text = existsSync(path) ? readFileSync(path, 'utf8') : null;
  if (text === null) return;
  const { success, data } = calibrationArtefact.safeParse(parseJson(text));
  if (!success) throw new UserError(`${path} is there and is no calibration: name another file with --out`);
  const isSame = (['cascade', 'model', 'signal'] as const).every(
    (key) => JSON.stringify(data[key]) === JSON.stringify(made[key]),
  );
  if (out !== null || isSame) return;
  const { cascade, model: drafter, signal } = data;
  throw new UserError(
    `${path} is a calibration of ${cascade}, ${drafter} and ${JSON.stringify(signal)}: name a file with --out`,
  );
}

function chosenCascade(
  { drafts, silent }: Awaited<ReturnType<typeof readDrafts>>,
  { cascade, batch }: CalibrateOptions,
): DraftedDocument[] {
  const names = [...new Set(drafts.map((one) => one.cascade))];
  if (names.length === 0) {
    const why = silent > 0 ? ': its cascades have `annotate: false`, or it was never finished' : '';
    throw new UserError(`${batch} has no line that says how it was decided${why}`);
  }
  const chosen = cascade ?? (names.length === 1 ? names[0] : undefined);
  if (chosen !== undefined && names.includes(chosen)) return drafts.filter((one) => one.cascade === chosen);
  throw new UserError(`--cascade: expected one of ${names.join(', ')}`);
}

/** What surely cannot be calibrated is told before it costs anything. */
function refuseHopeless(drafted: readonly DraftedDocument[], signal: SignalSpec, own: SignalSpec): void {
  const isOwn = JSON.stringify(signal) === JSON.stringify(own);
  if (!isOwn && SIGNALS[signal.name].needs !== 'nothing') {
    throw new UserError(`the signal ${signal.name} needs calls of its own: make it the cascade's signal first`);
  }
  const scored = drafted.filter(({ score }) => score !== null).length;
  if (scored === 0)
    throw new UserError('no draft of this batch has a score: its server gives nothing that the signal could use');
}

function labelled(
  drafted: readonly DraftedDocument[],
  labels: ReadonlyMap<string, Label> | null,
  { signal, own, tiers }: { signal: SignalSpec; own: SignalSpec; tiers: { drafter: Tier; expert: Tier } },
): LabelledDraft[] {
  const found = drafted.flatMap((document): LabelledDraft[] => {
    const label = labels?.get(document.customId);
    if (labels !== null && label === undefined) return [];
    const right = isRight(document.draft, label, document.expert);
    if (right === null) return [];
    const score = signal.name === 'head' ? null : scoreBy(document, signal, own);
    const isUntold =
      signal.name === 'head' ? document.features === null && document.scores === null : score === undefined;
    if (isUntold) {
      throw new UserError(
        `the batch does not tell of the signal ${JSON.stringify(signal)}: calibrate it with --sample, or by a batch with the metadata "spillway.both": "true"`,
      );
    }
    // Where nobody can say whether the expert is right it is taken to be: what the cascade gives is at most that.
    const hasAnswer = label !== undefined && 'answer' in label && document.expert !== null;
    const expertRight = hasAnswer ? sameAnswer(document.expert, label.answer) : true;
    const isExpertAssumed = label !== undefined && !hasAnswer;
    const judged = { right, expertRight, isExpertAssumed };
    return [{ score: score ?? null, features: document.features, ...judged, ...costOf(document, tiers) }];
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

function costOf({ draftTokens, expertTokens }: DraftedDocument, { drafter, expert }: { drafter: Tier; expert: Tier }) {
  const usd = ({ input, output }: { input: number; output: number }, at: Tier['price']): number | null =>
    at === null ? null : (input * at.input + output * at.output) / 1e6;
  // What the expert would have read and written is taken to be what the drafter did, as the report of a batch does.
  return { draftUsd: usd(draftTokens, drafter.price), expertUsd: usd(expertTokens ?? draftTokens, expert.price) };
}
