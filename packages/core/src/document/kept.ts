import { z } from 'zod';
import { NO_USAGE } from '../accounting/counts.ts';
import { ASK_KINDS, type AskKind, type HowAsked } from '../cascade/ask.ts';
import { stageOf } from '../cascade/rules.ts';
import { ESCALATION_REASONS, type EscalationReason, type FieldScore } from '../confidence/index.ts';
import type { Usage } from '../endpoints/index.ts';
import { readingJson } from '../text/json-read.ts';
import { isJsonObject } from '../text/json.ts';
import type { Sliced } from '../text/slices.ts';
import { deliveringStage, stagesBeyond, stagesOf, type Ending, type StageRecord } from './ending.ts';
import type { Answer, CascadeDocument, StoppedDraft } from './job.ts';
import type { UnaskedResult } from './result.ts';

/** How a draft was judged. */
export type KeptJudgement = {
  readonly score: number | null;
  readonly confidence: number | null;
  /** The least sure values of a JSON answer, least sure first. */
  readonly fields: readonly FieldScore[] | null;
  /** Of every value, in the order of the answer, its score; absent: nobody asked for values, or they were not judged. */
  readonly valueScores?: readonly number[] | undefined;
  /** Null: it was final. */
  readonly reason: EscalationReason | null;
  readonly stopped?: StoppedDraft | undefined;
};

/** What a stage made of a document, as it is kept in the private part of its page. */
export type KeptStage = {
  readonly model: string;
  readonly ask: AskKind;
  /** Null: there is none, or by its verdict the draft of an earlier stage is final. */
  readonly answer: Answer | null;
  /** What it took in the batch that asked. */
  readonly usage: Usage;
  readonly how?: HowAsked | undefined;
  /** Null: its answer is final whatever it says. */
  readonly judgement: KeptJudgement | null;
};

/** What the stages made of a document, from the first one on. */
export type KeptDocument = {
  /** As the client sent it: whoever reads this can tell that it is of this document. */
  readonly customId: string;
  readonly cascade: string;
  readonly stages: readonly KeptStage[];
};

/** What a document's line says of its answer. */
export type DeliveredAnswer = Pick<Answer, 'status' | 'requestId' | 'body'>;

const VERSION = 1;

/** What stands in place of the answer that is delivered: that is in the document's line. */
const DELIVERED = 'delivered';

const usage = z.object({
  inputTokens: z.int().min(0),
  cachedTokens: z.int().min(0),
  outputTokens: z.int().min(0),
  reasoningTokens: z.int().min(0),
});

const answer = z.object({
  status: z.int(),
  requestId: z.string().nullable(),
  /** Absent in the one that is delivered. */
  body: z.unknown(),
});

const judgement = z.object({
  score: z.number().nullable(),
  confidence: z.number().nullable(),
  fields: z.array(z.object({ path: z.string(), score: z.number() })).nullable(),
  valueScores: z.array(z.number()).optional(),
  reason: z.enum(ESCALATION_REASONS.map(({ reason }) => reason)).nullable(),
  stopped: z
    .object({ scoreAtMost: z.number().nullable(), isEstimated: z.boolean(), acceptAt: z.number().optional() })
    .optional(),
});

/** Written by this version or one like it, and its checksum held. */
const how = z.custom<HowAsked>((value) => isJsonObject(value) && ASK_KINDS.includes((value as HowAsked).kind));

const stage = z.object({
  model: z.string(),
  ask: z.enum(ASK_KINDS),
  answer: z.union([answer, z.literal(DELIVERED)]).nullable(),
  usage,
  how: how.optional(),
  judgement: judgement.nullable(),
});

const response = z.object({ status_code: z.int(), request_id: z.string(), body: z.unknown() });

const keptDocument = z.object({
  v: z.literal(VERSION),
  customId: z.string(),
  cascade: z.string(),
  stages: z.array(stage),
});

/** A result with what is kept of its document. */
export function withKept<Own extends UnaskedResult>(result: Own, kept: string | null): Own {
  return kept === null ? result : { ...result, kept };
}

/** What is kept of a document that has come to an end; null: nothing that anybody could use. */
export function keptText(document: CascadeDocument, ending: Ending): string | null {
  const stages = stagesOf(document, ending);
  const isDelivered = isAnswer(stages.at(-1)?.answer ?? null);
  const all = [...stages, ...stagesBeyond(document, ending)].flatMap((record, at) => keptStage(document, record, at));
  const { customId, cascade } = document.job;
  return writeKept({ customId, cascade, stages: all }, isDelivered ? deliveringStage(stages) : null);
}

const isAnswer = (given: Answer | null): given is Answer => given !== null && given.status < 300;

/** A last stage that failed is not kept: it is asked again. */
function keptStage({ rules }: CascadeDocument, record: StageRecord, at: number): KeptStage[] {
  const { model, draft, outcome, usage: spent } = record;
  const given = isAnswer(record.answer) ? record.answer : null;
  const own = {
    model,
    ask: stageOf(rules, at).ask,
    // Of a draft that came from another batch the record says that nothing was spent in this one.
    usage: draft === null ? spent : (given?.usage ?? spentBy(draft)),
    ...(record.how === undefined ? {} : { how: record.how }),
  };
  if (draft === null) {
    if (given === null) return [];
    // By its verdict an earlier stage's draft is final, and the answer is that one's.
    return [{ ...own, answer: outcome === 'accepted' ? null : given, judgement: null }];
  }
  const { score, confidence, fields, valueScores, stopped } = draft;
  const reason = 'reason' in draft ? draft.reason : null;
  const judged = { score, confidence, fields, reason, ...present({ valueScores, stopped }) };
  return [{ ...own, answer: given, judgement: judged }];
}

const spentBy = (draft: NonNullable<StageRecord['draft']>): Usage =>
  'spent' in draft ? (draft.spent ?? NO_USAGE) : NO_USAGE;

const present = (values: Pick<KeptJudgement, 'valueScores' | 'stopped'>) =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as typeof values;

/** Writes what is kept of a document; the answer of the stage that delivers stands in the document's line. */
export function writeKept({ customId, cascade, stages }: KeptDocument, delivering: number | null): string | null {
  if (stages.length === 0) return null;
  const written = stages.map(({ answer: own, ...others }, at) => ({
    ...others,
    answer:
      own === null
        ? null
        : at === delivering
          ? DELIVERED
          : { status: own.status, requestId: own.requestId, body: own.body },
  }));
  return JSON.stringify({ v: VERSION, customId, cascade, stages: written });
}

/** What the model servers may answer was bounded when they did. */
const NO_LIMITS = { depth: Number.MAX_SAFE_INTEGER, values: Number.MAX_SAFE_INTEGER };

/** Reads what is kept of a document; `delivered` is the answer in its line, if it has one. Null: nobody can use it. */
export function* readingKept(text: string, delivered: DeliveredAnswer | null): Sliced<KeptDocument | null> {
  const read = yield* readingJson(text, NO_LIMITS);
  const kept = read.kind === 'json' ? (keptDocument.safeParse(read.value).data ?? null) : null;
  if (kept === null) return null;
  const stages: KeptStage[] = [];
  for (const { answer: written, ...own } of kept.stages) {
    const given = written === DELIVERED ? delivered : written;
    if (written === DELIVERED && given === null) return null;
    stages.push({ ...own, answer: given === null ? null : { ...given, usage: own.usage } });
  }
  return { customId: kept.customId, cascade: kept.cascade, stages };
}

/** The answer in a line of the output file; null: the line is not as this version knows it. */
export function* readingDelivered(line: string): Sliced<DeliveredAnswer | null> {
  const read = yield* readingJson(line, NO_LIMITS);
  const given = response.safeParse(
    read.kind === 'json' && isJsonObject(read.value) ? read.value['response'] : null,
  ).data;
  return given === undefined ? null : { status: given.status_code, requestId: given.request_id, body: given.body };
}
