import type { CalibrationArtefact, FittedMethod, FormatKind, SignalSpec } from '@spillway/core';
import {
  chooseThreshold,
  fit,
  hasEvidence,
  judgeDrafts,
  type Judgement,
  type LabelledDraft,
  type ThresholdRow,
} from './judge.ts';

/** What a user wishes a threshold for. */
export type Wish = { readonly accuracy: number } | { readonly expertShare: number } | null;

/** All that `npm run calibrate` finds out, as it is written as JSON. */
export type CalibrationReport = {
  readonly cascade: string;
  readonly batch: string;
  /** The stage whose drafts are calibrated, from 1, and how it asks. */
  readonly stage: number;
  readonly ask: CalibrationArtefact['ask'];
  /** The thresholds of the stages before, which chose the documents that come to it. */
  readonly accept_before: number[];
  /** The stage's model, and the last stage's. */
  readonly drafter: string;
  readonly expert: string;
  /** The stage's model server, and what the answers were asked to be; null: their lines do not say. */
  readonly made_with: { readonly server: string; readonly formats: FormatKind[] | null };
  readonly signal: SignalSpec;
  readonly method: string | null;
  /** What counts as right. */
  readonly basis: string;
  readonly created_at: string;
  readonly wish: string;
  readonly chosen: ThresholdRow | null;
  readonly judgement: Judgement;
};

export type Subject = Pick<
  CalibrationReport,
  'cascade' | 'batch' | 'stage' | 'ask' | 'accept_before' | 'drafter' | 'expert' | 'signal' | 'basis'
> & { readonly server: string };

/** A cascade is worth it when it keeps nearly all of what the expert gets right. */
const KEPT_SHARE = 0.99;

/** Fits and judges; the artefact is null when there is nothing to fit. */
export function makeReport(
  { server, ...subject }: Subject,
  drafts: readonly LabelledDraft[],
  { method, wish, now }: { readonly method: FittedMethod | 'auto'; readonly wish: Wish; readonly now: Date },
): { readonly report: CalibrationReport; readonly artefact: CalibrationArtefact | null } {
  const { signal, cascade, stage, ask, accept_before, drafter: model } = subject;
  const judgement = judgeDrafts(signal, method, drafts);
  const calibration = judgement.verdict.kind === 'cannot_be_judged' ? null : fit(signal, method, drafts);
  const wished = wish ?? { accuracy: KEPT_SHARE * judgement.expert_accuracy };
  const madeWith = { server, formats: formatsOf(signal, drafts) };
  const report: CalibrationReport = {
    ...subject,
    made_with: madeWith,
    method: calibration?.method ?? null,
    created_at: now.toISOString(),
    wish: wishText(wish, wished),
    chosen: chooseThreshold(judgement.thresholds, wished),
    judgement,
  };
  if (calibration === null) return { report, artefact: null };
  const { labels, after, auroc } = judgement;
  const artefact: CalibrationArtefact = {
    kind: 'spillway.calibration',
    v: 2,
    cascade,
    stage,
    ask,
    accept_before,
    model,
    made_with: madeWith,
    signal,
    calibration,
    labels: labels.total,
    right: labels.right,
    createdAt: report.created_at,
    measured: { ece: after.ece, brier: after.brier, auroc: auroc.value },
  };
  return { report, artefact };
}

/** What the answers were asked to be that a calibration learns from, each once; null: some line does not say. */
function formatsOf(signal: SignalSpec, drafts: readonly LabelledDraft[]): FormatKind[] | null {
  const formats = new Set(drafts.filter((draft) => hasEvidence(signal, draft)).map(({ format }) => format));
  const known = [...formats].filter((format) => format !== null);
  return known.length < formats.size ? null : known.toSorted();
}

function wishText(asked: Wish, wished: NonNullable<Wish>): string {
  if ('expertShare' in wished) return `at most ${(100 * wished.expertShare).toFixed(1)} % escalated`;
  const accuracy = `an accuracy of ${(100 * wished.accuracy).toFixed(1)} %`;
  return asked === null ? `${accuracy} (99 % of the expert's)` : accuracy;
}
