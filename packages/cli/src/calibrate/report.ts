import type { CalibrationArtefact, FittedMethod, FormatKind, SignalSpec } from '@spillway/core';
import { fit, hasEvidence, judgeDrafts, refusal, type Judgement } from './judge.ts';
import type { LabelledDraft } from './labelled.ts';
import type { WishedFor } from './thresholds.ts';

/** One of the signals that a sample tells of, judged by the same documents. */
type SignalSummary = Pick<Judgement, 'auroc' | 'gain' | 'chosen' | 'verdict'> & {
  readonly signal: SignalSpec;
  readonly ece: number;
};

/** All that `npm run calibrate` finds out, as it is written as JSON. */
export type CalibrationReport = {
  readonly cascade: string;
  readonly batch: string;
  /** The shadow run of documents drawn from it; null: the batch's own lines were looked at. */
  readonly sample: string | null;
  /** The stage whose drafts are calibrated, from 1, and how it asks. */
  readonly stage: number;
  readonly ask: CalibrationArtefact['ask'];
  /** The value of its JSON answers that is calibrated, by JSON pointer; absent: its answers as wholes. */
  readonly field?: string;
  /** The thresholds of the stages before, which chose the documents that come to it. */
  readonly accept_before: number[];
  /** The stage's own when the documents were decided; null: it had none. */
  readonly accept_at: number | null;
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
  readonly judgement: Judgement;
  /** The chosen signal first; only it, where the lines tell of no other. */
  readonly signals: readonly SignalSummary[];
};

export type Subject = Pick<
  CalibrationReport,
  | 'cascade'
  | 'batch'
  | 'sample'
  | 'stage'
  | 'ask'
  | 'field'
  | 'accept_before'
  | 'accept_at'
  | 'drafter'
  | 'expert'
  | 'signal'
  | 'basis'
> & { readonly server: string };

/** The drafts as the chosen signal scores them, and as the others do that their lines tell of. */
type Labelled = {
  readonly drafts: readonly LabelledDraft[];
  readonly others?: readonly { readonly signal: SignalSpec; readonly drafts: readonly LabelledDraft[] }[];
};

/** Fits and judges; the artefact is null when there is nothing to fit. */
export function makeReport(
  { server, ...subject }: Subject,
  { drafts, others = [] }: Labelled,
  {
    method,
    wish,
    now,
  }: { readonly method: FittedMethod | 'auto'; readonly wish: WishedFor | null; readonly now: Date },
): { readonly report: CalibrationReport; readonly artefact: CalibrationArtefact | null } {
  const { signal, cascade, stage, ask, field, accept_before, drafter: model } = subject;
  const terms = { wish, acceptAt: subject.accept_at };
  const judgement = judgeDrafts(signal, method, drafts, terms);
  const calibration = refusal(signal, drafts) === null ? fit(signal, method, drafts) : null;
  const madeWith = { server, formats: formatsOf(signal, drafts) };
  const report: CalibrationReport = {
    ...subject,
    made_with: madeWith,
    method: calibration?.method ?? null,
    created_at: now.toISOString(),
    judgement,
    signals: [
      summaryOf(signal, judgement),
      ...others.map((one) => summaryOf(one.signal, judgeDrafts(one.signal, 'auto', one.drafts, terms))),
    ],
  };
  if (calibration === null) return { report, artefact: null };
  const { labels, after, auroc } = judgement;
  const artefact: CalibrationArtefact = {
    kind: 'spillway.calibration',
    v: 2,
    cascade,
    stage,
    ask,
    ...(field === undefined ? {} : { field }),
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

const summaryOf = (signal: SignalSpec, { auroc, gain, after, chosen, verdict }: Judgement): SignalSummary => ({
  signal,
  auroc,
  gain,
  ece: after.ece,
  chosen,
  verdict,
});

/** What the answers were asked to be that a calibration learns from, each once; null: some line does not say. */
function formatsOf(signal: SignalSpec, drafts: readonly LabelledDraft[]): FormatKind[] | null {
  const formats = new Set(drafts.filter((draft) => hasEvidence(signal, draft)).map(({ format }) => format));
  const known = [...formats].filter((format) => format !== null);
  return known.length < formats.size ? null : known.toSorted();
}
