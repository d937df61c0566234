import {
  judgeIn,
  reportOf,
  roleOf,
  ruledFields,
  shownThreshold,
  type CascadeRules,
  type ReportedStage,
} from '@spillway/core';
import { ownBatch } from '../ownership.ts';
import { describeOverTime, type BatchSources } from './show.ts';

/** What the stages of a batch did so far, what it cost, and what the sequential wait cost. */
export async function showReport(sources: BatchSources, tenant: string, id: string) {
  const { records, accounts } = sources;
  const manifest = await ownBatch(records, tenant, id);
  const { batch, notes } = await describeOverTime(sources, manifest);
  const { status, model, spillway } = batch;
  const account = await accounts.read(manifest);
  // Which cascades the documents name is known from the validation on.
  const { cascades = {} } = (await records.plan(id)) ?? {};
  const stages = Object.entries(cascades).flatMap(([name, rules]) => stagesOf(name, rules));
  const { warnings, audits, progress, waiting, thresholds } = spillway;
  const about = { object: 'batch.report' as const, id, status, model, warnings, audits, progress, waiting, thresholds };
  // In Unix seconds, as all times that are shown.
  const overTime = notes.map(({ atMs, settled, stages: reached }) => ({ at: atMs / 1000, settled, stages: reached }));
  return { ...about, over_time: overTime, ...reportOf({ ...account, stages }) };
}

const stagesOf = (cascade: string, rules: CascadeRules): ReportedStage[] =>
  rules.stages.map((own, stage) => {
    const judge = judgeIn(own);
    return {
      cascade,
      stage,
      model: own.model,
      role: roleOf(rules, stage),
      ask: own.ask,
      calibrated: judge === null ? null : judge.confidence.calibration !== null,
      acceptAt: judge === null ? null : shownThreshold(judge.acceptAt),
      ruledFields: ruledFields(rules, stage),
    };
  });
