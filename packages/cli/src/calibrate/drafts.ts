import {
  answerText,
  isJsonObject,
  readUsage,
  route,
  type CascadeAnnotation,
  type FormatKind,
  type PricedTokens,
  type ResultLine,
  type SignalSpec,
  type StageAnnotation,
} from '@spillway/core';
import { UserError, type ApiClient } from '../client.ts';
import { readLine, readResults } from '../results.ts';

/** What a stage drafted for a document, as far as a calibration needs it. */
export type DraftedDocument = {
  readonly customId: string;
  /** The stage's model, by its name in the configuration. */
  readonly model: string;
  /** What the request asks its answer to be; null: an older Spillway wrote the line, which does not say. */
  readonly format: FormatKind | null;
  /** What was drafted; null: nothing that can be compared. */
  readonly draft: string | null;
  /** What the expert said; null: it was not asked, or failed. */
  readonly expert: string | null;
  /** It was given up before it was whole. */
  readonly isStopped: boolean;
  /** By the stage's own signal. */
  readonly score: number | null;
  /** By the JSON of each signal that the line shows; null: the batch was no shadow run. */
  readonly scores: Readonly<Record<string, number | null>> | null;
  readonly features: readonly number[] | null;
  /** Of values of its JSON draft, by JSON pointer, by the stage's own signal; null: the line does not show them. */
  readonly values: Readonly<Record<string, number>> | null;
  readonly draftTokens: PricedTokens;
  /** Null: the expert was not asked. */
  readonly expertTokens: PricedTokens | null;
  /** The thresholds of the stages before, and its own; null: it has none. */
  readonly acceptBefore: readonly number[];
  readonly acceptAt: number | null;
  /** Whether the draft is final by the rules of its batch, had it been no shadow run. */
  readonly isAcceptedToday: boolean;
};

/** A document of a finished batch whose line says how it was decided. */
export type DecidedDocument = {
  readonly customId: string;
  readonly cascade: string;
  /**
   * Null: a stage before accepted its draft, or, in a shadow run, would have; or it is a copy of another document, which
   * says the same once more.
   */
  readonly drafted: DraftedDocument | null;
  readonly isCopy: boolean;
  /** What each stage took that was asked. */
  readonly stages: readonly PricedTokens[];
};

const LINES_AT_A_TIME = 5_000;

/**
 * The documents of an ended batch whose lines say how they were decided, with what the stage (from 1) drafted for them;
 * how many lines do not say it.
 */
export async function readDrafts(
  api: ApiClient,
  batch: string,
  stage: number,
): Promise<{ documents: DecidedDocument[]; silent: number }> {
  const documents: DecidedDocument[] = [];
  let silent = 0;
  let hasEnded = false;
  for await (const { lines, isAll } of readResults(api, batch, { limit: LINES_AT_A_TIME })) {
    hasEnded = isAll;
    for (const line of lines.map(readLine)) {
      const { custom_id: customId, cascade } = line;
      if (cascade === undefined || customId === null) silent += 1;
      else {
        const drafted = draftOf(line, cascade, stage);
        const isCopy = cascade.copy_of !== undefined;
        documents.push({ customId, cascade: cascade.name, drafted, isCopy, stages: cascade.stages.map(tokensOf) });
      }
    }
  }
  if (!hasEnded) throw new UserError(`${batch} has not ended: calibrate when it has`);
  return { documents, silent };
}

/**
 * What a stage (from 1) drafted for a document. Null: the document did not reach it, or reached it only because the
 * batch was a shadow run, in which no stage accepts; such drafts are easier than those that the stage is to judge. Nor does
 * a copy say anything that its first does not say.
 *
 * @internal exported for its test
 */
export function draftOf(line: ResultLine, cascade: CascadeAnnotation, stage: number): DraftedDocument | null {
  const { stages } = cascade;
  const before = stages.slice(0, stage - 1);
  const own = stages[stage - 1];
  const { custom_id: customId, response } = line;
  if (own === undefined || customId === null || before.some(wouldAccept)) return null;
  if (cascade.copy_of !== undefined) return null;
  const answer = response !== null && response.status_code < 300 ? answerText(response.body) : null;
  const shared: Shared = {
    customId,
    model: own.model,
    format: cascade.response_format ?? null,
    score: own.score,
    acceptBefore: before.flatMap(({ accept_at: acceptAt }) => (acceptAt === null ? [] : [acceptAt])),
    acceptAt: own.accept_at,
    isAcceptedToday: own.outcome === 'accepted' || wouldAccept(own),
  };
  if (own.role === 'expert') return { ...shared, ...judgedBy(own, line, cascade) };
  // Where the expert was asked for some values only, the others are the draft's own.
  const last = cascade.role === 'expert' ? stages.at(-1) : undefined;
  const expert = last?.ask === 'fields' ? undefined : last;
  return {
    ...shared,
    draft: cascade.stage === stage ? answer : (own.draft?.text ?? null),
    expert: expert === undefined ? null : answer,
    isStopped: own.stopped !== undefined,
    scores: own.draft?.evidence?.scores ?? null,
    features: own.draft?.evidence?.features ?? null,
    values: own.draft?.evidence?.values ?? null,
    draftTokens: tokensOf(own),
    expertTokens: expert === undefined ? null : tokensOf(expert),
  };
}

/** What is said of a document alike, whoever drafted and whoever judged. */
type Shared = Pick<
  DraftedDocument,
  'customId' | 'model' | 'format' | 'score' | 'acceptBefore' | 'acceptAt' | 'isAcceptedToday'
>;

/** Of a stage that says whether an earlier one's draft is right: that draft, what the verdict took, and its own answer. */
function judgedBy(
  own: StageAnnotation,
  { response }: ResultLine,
  { stages, by }: CascadeAnnotation,
): Omit<DraftedDocument, keyof Shared> {
  const judged = own.verdict_on === undefined ? undefined : stages[own.verdict_on - 1];
  const body = response !== null && response.status_code < 300 ? response.body : null;
  const answer = body === null ? null : answerText(body);
  const taken = tokensOf(own);
  const none = { isStopped: false, scores: null, features: null, values: null };
  if (by === 'verdict') return { ...none, draft: answer, expert: null, draftTokens: taken, expertTokens: null };
  const whole = readUsage(isJsonObject(body) ? body['usage'] : undefined);
  // The stage's tokens are those of both calls; what its server said of the answer is of the second one alone.
  const left = (key: keyof PricedTokens): number => Math.max(0, taken[key] - whole[key]);
  return {
    ...none,
    draft: judged?.draft?.text ?? null,
    expert: answer,
    draftTokens: {
      inputTokens: left('inputTokens'),
      cachedTokens: left('cachedTokens'),
      outputTokens: left('outputTokens'),
    },
    expertTokens: whole,
  };
}

/** Whether a stage's draft would be final if the batch were no shadow run. */
function wouldAccept({ score, confidence, accept_at: acceptAt, ...own }: StageAnnotation): boolean {
  if (score === null || confidence === null || acceptAt === null) return false;
  if (own.values_sure !== undefined) return own.values_sure;
  return route({ kind: 'scored', score, confidence, fields: null }, { acceptAt }).kind === 'accept';
}

const tokensOf = ({ usage }: StageAnnotation): PricedTokens => ({
  inputTokens: usage.input_tokens,
  cachedTokens: usage.cached_tokens,
  outputTokens: usage.output_tokens,
});

/** The score of a draft by a signal; null: no evidence. `undefined`: its line does not show that signal. */
export function scoreBy(document: DraftedDocument, signal: SignalSpec, own: SignalSpec): number | null | undefined {
  const key = JSON.stringify(signal);
  if (document.scores !== null && key in document.scores) return document.scores[key] ?? null;
  return key === JSON.stringify(own) ? document.score : undefined;
}
