import type { BatchObject, Report } from '@spillway/core';

/** The report of a batch, as the API sends it. */
export type BatchReport = Report &
  Pick<BatchObject, 'id' | 'status' | 'model'> &
  BatchObject['spillway'] & {
    readonly over_time: readonly {
      readonly at: number;
      readonly settled: number;
      readonly stages: readonly { readonly reached: number; readonly left: number }[];
    }[];
  };

export type ReportedStage = BatchReport['stages'][number];

/** What a threshold would do to the drafts of a stage. */
export type WhatIf = {
  /** Of the drafts that could be judged and were not given up. */
  readonly accepted: number;
  readonly escalated: number;
  /** Those that were given up early, or could not be judged: they go on at any threshold. */
  readonly always: number;
};

/** How many drafts of a stage a threshold would accept, by the bins of the report: one that it divides is divided evenly. */
export function whatIf({ confidences, documents }: ReportedStage, acceptAt: number): WhatIf {
  let accepted = 0;
  let judged = 0;
  for (const { from, to, drafts } of confidences) {
    judged += drafts;
    const above = to <= from ? 1 : (to - acceptAt) / (to - from);
    accepted += drafts * Math.min(1, Math.max(0, above));
  }
  const all = documents.accepted + documents.escalated;
  const final = Math.round(accepted);
  return { accepted: final, escalated: judged - final, always: Math.max(0, all - judged) };
}
