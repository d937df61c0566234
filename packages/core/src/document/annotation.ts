import { shownThreshold } from '../cascade/thresholds.ts';
import { shownConfidences } from '../cascade/fields/index.ts';
import { isCalibrated, judgeIn, roleOf, stageOf } from '../cascade/rules.ts';
import { ENDPOINTS, formatKindOf } from '../endpoints/index.ts';
import { cutText } from '../text/cut.ts';
import { TraceIds } from '../trace/ids.ts';
import { deliveringStage, finalVerdict, isEscalated, judgementOf, type StageRecord } from './ending.ts';
import type { CascadeDocument, Draft } from './job.ts';
import type { CascadeAnnotation, StageAnnotation } from './result-line.ts';
import type { DelayTimes, DocumentTimes, StageTimes } from './times.ts';

/** A draft's text is cut here: it is there to be compared, and the delivered answer is the one that counts. */
const MAX_DRAFT_CHARACTERS = 4_000;

const whole = (ms: number | null | undefined): number | null => (ms == null ? null : Math.round(ms));

const wholeDelays = (delays: DelayTimes): DelayTimes =>
  Object.fromEntries(Object.entries(delays).map(([reason, ms]) => [reason, Math.round(ms)]));

/** What was decided for a document and why: the `cascade` key of its line. */
export function annotationOf(
  document: CascadeDocument,
  stages: readonly StageRecord[],
  { times, isTraced }: { readonly times: DocumentTimes; readonly isTraced: boolean },
): CascadeAnnotation {
  const { job, rules } = document;
  const delivering = deliveringStage(stages);
  return {
    name: job.cascade,
    stage: delivering + 1,
    model: stageOf(rules, delivering).model,
    role: roleOf(rules, delivering),
    ...(finalVerdict(stages) === null ? {} : { by: 'verdict' as const }),
    escalated: isEscalated(stages),
    response_format: formatKindOf(job.endpoint, job.body),
    // Nothing was promised of what is delivered as the time ran out.
    certificate: stages.at(-1)?.outcome === 'deadline_draft' ? null : (rules.certificate ?? null),
    trace_id: isTraced ? new TraceIds(job).root.traceId : null,
    stages: stages.map((record, stage) =>
      stageAnnotation(document, { record, stage, times: times.stages[stage], isDelivered: stage === delivering }),
    ),
    wait_ms: { sequential: whole(times.sequentialMs), total: whole(times.totalMs) },
  };
}

type Reached = {
  readonly record: StageRecord;
  readonly stage: number;
  readonly times: StageTimes | null | undefined;
  /** Its answer is the document's. */
  readonly isDelivered: boolean;
};

function stageAnnotation(
  { job, rules }: CascadeDocument,
  { record, stage, times, isDelivered }: Reached,
): StageAnnotation {
  const own = stageOf(rules, stage);
  const { model, ask } = own;
  const judge = judgeIn(own);
  const { outcome, draft, attempts, usage, how } = record;
  const escalated = draft !== null && 'reason' in draft && !isDelivered ? draft : null;
  const fields = draft?.fields ?? null;
  return {
    model,
    role: roleOf(rules, stage),
    ask: how?.kind ?? ask,
    ...(how?.kind === 'answer' ? { ask_reason: how.reason } : {}),
    ...(how?.kind === 'verify' ? { kept_characters: how.keptCharacters } : {}),
    ...(how?.kind === 'verdict' ? { verdict_on: how.stage + 1 } : {}),
    ...(how?.kind === 'fields' ? { asked_fields: [...how.asked] } : {}),
    ...(record.kept === undefined ? {} : { kept: record.kept }),
    outcome,
    reason: draft !== null && 'reason' in draft ? draft.reason : null,
    signal: judge?.confidence.signal.name ?? null,
    score: judgementOf(record)?.score ?? null,
    confidence: judgementOf(record)?.confidence ?? null,
    calibrated: judge !== null && isCalibrated(judge, formatKindOf(job.endpoint, job.body)),
    accept_at: judge === null ? null : shownThreshold(judge.acceptAt),
    ...(draft?.areValuesSure === undefined ? {} : { values_sure: draft.areValuesSure }),
    attempts: attempts.length,
    usage: {
      input_tokens: usage.inputTokens,
      cached_tokens: usage.cachedTokens,
      output_tokens: usage.outputTokens,
      ...(isEstimated(record) ? { estimated: true as const } : {}),
    },
    wait_ms: {
      queue: whole(times?.queueMs),
      call: whole(times?.callMs),
      hand_off: whole(times?.handOffMs),
      ...(times?.delaysMs === undefined ? {} : { delays: wholeDelays(times.delaysMs) }),
    },
    ...(escalated?.answer == null ? {} : shownDraft(job, escalated)),
    ...(fields === null || judge === null ? {} : { fields: shownConfidences(fields, judge) }),
  };
}

/** Whether a call was given up before its server said what it took. */
const isEstimated = ({ draft, how, kept }: StageRecord): boolean =>
  kept === undefined && (draft?.stopped?.isEstimated === true || (how?.kind === 'fields' && how.isEstimated));

/** A draft that is not the answer, and, in a shadow run, what every signal said of it. */
function shownDraft(
  job: CascadeDocument['job'],
  { answer, evidence, stopped, fields }: Draft,
): Pick<StageAnnotation, 'draft' | 'stopped'> {
  const text = ENDPOINTS[job.endpoint].text(answer?.body, job.body);
  const shown = text === null ? null : cutText(text, MAX_DRAFT_CHARACTERS);
  if (stopped !== undefined) return { stopped: { text: shown, score_at_most: stopped.scoreAtMost } };
  if (evidence === null) return { draft: { text: shown } };
  const { scores, features } = evidence;
  const known = fields?.filter(({ score }) => Number.isFinite(score));
  const values =
    known === undefined ? {} : { values: Object.fromEntries(known.map(({ path, score }) => [path, score])) };
  return {
    draft: {
      text: shown,
      evidence: { scores: { ...scores }, features: features === null ? null : [...features], ...values },
    },
  };
}
