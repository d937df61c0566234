import { z } from 'zod';
import type { Said } from '../accounting/reasons.ts';
import { calibrated } from '../calibration/method.ts';
import type { HowAsked } from '../cascade/ask.ts';
import { asksForFields, stageOf, type CascadeRules, type JudgeRule } from '../cascade/rules.ts';
import { judgingStages } from '../cascade/thresholds.ts';
import { agrees, differingValues, type FieldScore } from '../confidence/index.ts';
import { ENDPOINTS } from '../endpoints/index.ts';
import { cutText } from '../text/cut.ts';
import { jsonLine } from '../text/json-line.ts';
import type { AcceptedDraft, Answer, CascadeDocument, Draft } from './job.ts';
import type { StageRecord } from './ending.ts';
import { resultLine, type ResultLine } from './result-line.ts';
import { writeTimes, type CascadeTimes } from './times.ts';

/** How a sampled document's draft of a judging stage was judged, beside what the expert said. */
export type SampledJudgement = {
  /** Null: it could not be judged. */
  readonly confidence: number | null;
  /** Whether the draft says what the expert says; false, too, where either of them has no answer. */
  readonly agrees: boolean;
  /**
   * Where the next stage may be asked for single values: from which confidence on a value would be final that the expert
   * says otherwise. Null: there is no such value.
   */
  readonly wrongAt: number | null;
  /** It was not judged for a cause that passes: the same document would be at another time. Absent: it was, or cannot be. */
  readonly isUnknown?: true | undefined;
  /** The values in which it differs from the expert's, by JSON pointer; absent: it does not, or not by value. */
  readonly differing?: readonly string[] | undefined;
};

/** What a sample is for: how its drafts were judged; and all that its results count, so that the batch has it. */
export type Sampled = {
  readonly judged: readonly SampledJudgement[];
  readonly counts: Readonly<Record<string, number>>;
  readonly said: Readonly<Record<string, string>>;
  /** Empty: nobody was asked. */
  readonly times: string;
  /** Of a budget, where no answer of the last stage stands: the drafts, so that they can be handed off after all. */
  readonly drafts?: readonly Draft[] | undefined;
};

const sampled = z.strictObject({
  judged: z.array(
    z.strictObject({
      confidence: z.number().nullable(),
      agrees: z.boolean(),
      wrongAt: z.number().nullable(),
      differing: z.array(z.string()).optional(),
      isUnknown: z.literal(true).optional(),
    }),
  ),
  counts: z.record(z.string(), z.number()),
  said: z.record(z.string(), z.string()),
  times: z.string(),
  // Jobs carry them as they are.
  drafts: z.custom<readonly Draft[]>((value) => Array.isArray(value)).optional(),
});

const sampleLine = resultLine.extend({ sample: sampled });

/** What a stage has answered as text; null: nothing. */
function textOf({ job: { endpoint, body } }: CascadeDocument, answer: Answer | null | undefined): string | null {
  return answer == null || answer.status >= 300 ? null : ENDPOINTS[endpoint].text(answer.body, body);
}

/** The stages that judge, each with the one, from 0, whose draft it judges: `ask: verdict` that of one before. */
function judgedDrafts(rules: CascadeRules, verdict: HowAsked | undefined): { stage: number; drafted: number | null }[] {
  const last = rules.stages.length - 1;
  return judgingStages(rules).map((stage) => {
    if (stage < last) return { stage, drafted: stage };
    return { stage, drafted: verdict?.kind === 'verdict' ? verdict.stage : null };
  });
}

/** The drafts of a document that are not the same as an answer of the expert, so far as that can be seen. */
export function differingDrafts(document: CascadeDocument, answer: string): { stage: number; text: string }[] {
  const { job, rules } = document;
  const { audit } = job;
  if (audit !== undefined) return agrees(rules.agreement, audit.draft, answer) ? [] : [{ stage: 0, text: audit.draft }];
  return job.drafts.flatMap((draft, stage) => {
    const text = textOf(document, draft.answer);
    return text === null || agrees(rules.agreement, text, answer) ? [] : [{ stage, text }];
  });
}

/** How each judging stage's draft was judged, in their order, and whether it says what the last stage says. */
function judgementsOf(
  document: CascadeDocument,
  stages: readonly StageRecord[],
  sameAs: readonly number[],
): SampledJudgement[] {
  const { rules } = document;
  const last = stages[rules.stages.length - 1];
  const expert = textOf(document, last?.outcome === 'answered' ? last.answer : null);
  return judgedDrafts(rules, last?.how).map(({ stage, drafted }): SampledJudgement => {
    const record = drafted === null ? undefined : stages[drafted];
    const { judge } = stageOf(rules, stage);
    const confidence =
      judge === null
        ? last?.how?.kind === 'verdict'
          ? last.how.confidence
          : null
        : (record?.draft?.confidence ?? null);
    const text = textOf(document, record?.answer);
    const unknown =
      confidence === null && isUnknown(judge === null ? last : record) ? { isUnknown: true as const } : {};
    if (text === null || expert === null) return { confidence, agrees: false, wrongAt: null, ...unknown };
    const isSame = agrees(rules.agreement, text, expert) || (drafted !== null && sameAs.includes(drafted));
    if (isSame) return { confidence, agrees: true, wrongAt: null, ...unknown };
    const differing = differingValues(text, expert);
    const isByValue = judge !== null && confidence !== null && asksForFields(rules, stage);
    return {
      confidence,
      agrees: false,
      ...unknown,
      wrongAt: isByValue ? wrongFrom(differing, record?.draft?.fields ?? [], judge) : null,
      ...(differing === null
        ? {}
        : { differing: differing.slice(0, MAX_DIFFERING).map((path) => cutText(path, MAX_PATH)) }),
    };
  });
}

/** Why a draft was not judged that at another time would be. */
const PASSING: ReadonlySet<string> = new Set(['draft_failed', 'no_assessment', 'no_samples']);

/** Whether a stage did not judge a document for a cause that passes; a verdict is always such a thing. */
function isUnknown(record: StageRecord | undefined): boolean {
  if (record === undefined) return true;
  const { draft, how } = record;
  if (how?.kind === 'answer' && how.reason.startsWith('verdict_')) return true;
  return draft !== null && 'reason' in draft && PASSING.has(draft.reason);
}

/** So many values are named in which a draft differs. */
const MAX_DIFFERING = 16;
const MAX_PATH = 200;

/** Nothing is known of where a value would be final: it counts as final everywhere. */
const EVERYWHERE = 1;

/** Scores of values are written with six digits: each may have been so much higher, as a share of itself. */
const ROUNDED = 5e-6;

/** The highest confidence that a value can have had whose score was written down; a calibration may be steep, or fall. */
function confidenceAtMost({ confidence }: JudgeRule, score: number): number {
  const off = Math.abs(score) * ROUNDED;
  const all = [score - off, score, score + off].map((one) => calibrated(confidence, one) ?? EVERYWHERE);
  return Math.max(...all);
}

/** The highest confidence in a value that the expert says otherwise. */
function wrongFrom(differing: readonly string[] | null, fields: readonly FieldScore[], judge: JudgeRule): number {
  if (differing === null || differing.length === 0) return EVERYWHERE;
  const scores = new Map(fields.map(({ path, score }) => [path, score]));
  const confidences = differing.map((path) => {
    const score = scores.get(path);
    // Only the least sure values are written down.
    return score === undefined ? EVERYWHERE : confidenceAtMost(judge, score);
  });
  return Math.min(EVERYWHERE, Math.max(...confidences));
}

/** What a result counts, beside its line and its times. */
type Counted = { readonly counts: Readonly<Record<string, number | undefined>>; readonly said?: Said };

type SampleParts = {
  readonly line: ResultLine;
  /** Without times: nobody was asked. */
  readonly result: (CascadeTimes | { readonly times: null }) & Counted;
  /** The stages, from 0, whose drafts mean the same as the answer by what the expert says. */
  readonly sameAs: readonly number[];
};

/** The line of a sampled document: what the batch's own line will be, and what its thresholds are found by. */
export function sampleLineText(
  document: CascadeDocument,
  stages: readonly StageRecord[],
  { line, result, sameAs }: SampleParts,
): string {
  const drafts = document.rules.sample === 'budget' ? draftsIn(document, stages) : null;
  const sample = {
    judged: judgementsOf(document, stages, sameAs),
    counts: result.counts,
    said: result.said ?? {},
    times: result.times === null ? '' : writeTimes(result),
    ...(drafts === null ? {} : { drafts }),
  };
  return jsonLine({ ...line, sample });
}

/** The drafts of a document as far as they are to be handed off again; null: the last stage has answered it. */
function draftsIn({ job, rules }: CascadeDocument, stages: readonly StageRecord[]): readonly Draft[] | null {
  const { draft = null, outcome } = stages.at(-1) ?? {};
  if (draft !== null) return 'reason' in draft ? null : [...job.drafts, draftOf(draft)];
  // A verdict was found by which an earlier draft is final, or the last stage failed.
  const isAsked = outcome === 'answered' || job.drafts.length < rules.stages.length - 1;
  return isAsked ? null : job.drafts;
}

/** A draft that was accepted, as one that is to be handed off. */
const draftOf = (accepted: AcceptedDraft): Draft => ({
  ...accepted,
  reason: 'low_confidence',
  evidence: null,
  handedOffAtMs: null,
});

/** A line of a sample; null for what is none, as of a document that was not answered before the sample ended. */
export function readSampleLine(text: string): { readonly line: ResultLine; readonly sample: Sampled } | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  const read = sampleLine.safeParse(value);
  if (!read.success) return null;
  const { sample, ...line } = read.data;
  return { line, sample };
}
