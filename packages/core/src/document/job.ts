import { addUsage, NO_USAGE } from '../accounting/counts.ts';
import type { AskKind, HowAsked } from '../cascade/ask.ts';
import type { CascadeRules } from '../cascade/rules.ts';
import type { DraftEvidence, EscalationReason, FieldScore } from '../confidence/index.ts';
import type { EndpointUrl, Usage } from '../endpoints/index.ts';
import type { JsonObject } from '../text/json.ts';
import { withDelay, type Delay, type DelayReason, type Take } from './delays.ts';
import type { AttemptError } from './attempt-error.ts';
import type { Attempt, ExtraCall } from './times.ts';

/**
 * Raised when a job's shape changes; a worker leaves newer jobs to newer workers, and drops older ones: they are
 * enqueued again.
 */
export const JOB_VERSION = 3;

/** What a model answered, as it is written into a result. */
export type Answer = {
  readonly status: number;
  readonly requestId: string | null;
  readonly body: unknown;
  readonly usage: Usage;
};

/** Why a call has no answer from HTTP. */
export type NoAnswer = { readonly code: string; readonly message: string };

/** How a draft was given up. */
export type StoppedDraft = {
  /** What it could have scored at most; null: it could not have been judged. */
  readonly scoreAtMost: number | null;
  /** Its server had not said what the call took: the tokens read are estimated, those written are as many as came. */
  readonly isEstimated: boolean;
  /** The threshold that it could not reach any more; absent in what an earlier version wrote. */
  readonly acceptAt?: number | undefined;
};

/** What a drafting stage made of a document. */
type StageDraft = {
  readonly model: string;
  readonly ask: AskKind;
  readonly answer: Answer | null;
  readonly score: number | null;
  readonly confidence: number | null;
  /** The least sure values of a JSON answer, least sure first. */
  readonly fields: readonly FieldScore[] | null;
  /** Set when it was given up before it was whole. */
  readonly stopped?: StoppedDraft | undefined;
  /** Absent: the stage was just asked for its answer. */
  readonly how?: HowAsked | undefined;
  /**
   * Whether every value of a JSON answer was sure by its own rule; absent: no value has one of its own
   * or of another stage, or a version before wrote this.
   */
  readonly areValuesSure?: boolean | undefined;
  /**
   * For a stage that asks for the values of a JSON answer that are unsure: `1` or `0` for each of them in its order, as it
   * is sure or not; absent: none does, or they were not judged. Not by their paths: a name of 60 KB above a thousand values
   * made a job of 60 MB.
   */
  readonly sureValues?: string | undefined;
  /** Of the same values what each scored, for whoever decides anew with another threshold. */
  readonly valueScores?: readonly number[] | undefined;
  /** Every attempt, the last one included; none where the stage was skipped. */
  readonly attempts: readonly Attempt[];
};

/** A draft that is not final. */
export type Draft = StageDraft & {
  readonly reason: EscalationReason;
  /** What every signal says, in a shadow run; else null. */
  readonly evidence: DraftEvidence | null;
  /** What the server said of it where it could not be judged, redacted and cut; absent: nothing, or it was judged. */
  readonly said?: string;
  /** What the server said when it refused log-probs: of an error, which is no content; absent: it did not. */
  readonly refusal?: string;
  /** What calls took that brought no answer, where there is none that it could be counted with; absent: nothing. */
  readonly spent?: Usage | undefined;
  /** When the next stage's job was made; null: it is only to be handed off. */
  readonly handedOffAtMs: number | null;
  /** It was made in another batch, which this one was decided anew from: nothing was asked in this one. */
  readonly kept?: true;
};

/** A draft that is final. */
export type AcceptedDraft = StageDraft & { readonly answer: Answer; readonly confidence: number };

/** How often a document was refused (429, 503) though its server answered others in between, and when it last was. */
export type Refused = { readonly times: number; readonly atMs: number };

/**
 * A failed call of which nobody knows yet whose fault it was. The document carries it along and is asked again after a
 * while; then it shows what came of others.
 */
export type Unproven = {
  /** The stage whose call it was, from 0: a process of before hands it on to the next one. */
  readonly stage: number;
  readonly cause: 'ambiguous' | 'operator';
  /** What the document gets if it was its own fault and its last attempt. */
  readonly answer: Answer | null;
  readonly error: NoAnswer;
  readonly why: AttemptError;
  /** Unix milliseconds of the worker that called. */
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  /** When it failed, by Redis' clock. */
  readonly failedAtMs: number;
  /** When the call began its server had broken down, and had not been seen to work since. */
  readonly wasGone?: boolean | undefined;
  /** Absent in what an earlier version wrote. */
  readonly take?: Take | undefined;
};

/** A document on its way through the stages: the data of its job, in whichever queue. */
export type DocumentJob = {
  readonly v: number;
  readonly batch: string;
  /** Index in the batch, from 0. */
  readonly document: number;
  readonly page: number;
  /** Index in the page, from 0. */
  readonly place: number;
  readonly customId: string;
  readonly cascade: string;
  readonly endpoint: EndpointUrl;
  readonly body: JsonObject;
  /** Its trace is kept whatever comes of it. */
  readonly sampled: boolean;
  /** Unix milliseconds. */
  readonly enqueuedAtMs: number;
  readonly deadlineMs: number;
  /** The stage that is to answer it, from 0. */
  readonly stage: number;
  /** Attempts that the model used up in the present stage. */
  readonly usedAttempts: number;
  /** When it began to wait in the present queue; a retry's wait begins where the last attempt ended. */
  readonly waitingSinceMs: number;
  /** The attempts of the present stage that failed. */
  readonly attempts: readonly Attempt[];
  /** What is written down of the present wait that was no time in the queue; absent: nothing. */
  readonly delays?: readonly Delay[] | undefined;
  /** By whom it was last taken up; absent: by nobody yet. */
  readonly take?: Take | undefined;
  /** How the server refused it; absent: it did not. */
  readonly refused?: Refused | undefined;
  /** Its last call, where that failed and nobody knew whose fault it was. */
  readonly unproven?: Unproven | undefined;
  /** How often it was under way when its server broke down; absent: never. */
  readonly breaks?: number | undefined;
  /** How often its call was begun when its server had gone already; absent: never. */
  readonly foundGone?: number | undefined;
  /** What calls of the present stage took whose attempts came to nothing, by no fault of theirs; absent: nothing. */
  readonly spent?: Usage | undefined;
  /** Its call was given up once, as its answer seemed to be lost; so it may be one that takes very long. */
  readonly mayTakeLong?: boolean | undefined;
  /** The drafts of the stages before, and the present one's once it is only to be handed off. */
  readonly drafts: readonly Draft[];
  /** The document has its result, which is a draft that said this: the expert is asked only to compare. Absent: it has none. */
  readonly audit?: { readonly draft: string } | undefined;
};

/** The job of a document that was not asked about yet, for the first stage of its cascade. */
export function newJob(
  document: Pick<
    DocumentJob,
    | 'batch'
    | 'document'
    | 'page'
    | 'place'
    | 'customId'
    | 'cascade'
    | 'endpoint'
    | 'body'
    | 'sampled'
    | 'enqueuedAtMs'
    | 'deadlineMs'
  >,
): DocumentJob {
  const waitingSinceMs = document.enqueuedAtMs;
  return { v: JOB_VERSION, ...document, stage: 0, usedAttempts: 0, waitingSinceMs, attempts: [], drafts: [] };
}

/** A document with the rules of its cascade, which stand in the batch's manifest and not in every job. */
export type CascadeDocument = { readonly job: DocumentJob; readonly rules: CascadeRules };

/** A call of a stage's model, by its times in Unix milliseconds. */
type Call = {
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  readonly extra?: readonly ExtraCall[] | undefined;
  /** Absent: the one that the document is in now. */
  readonly take?: Take | undefined;
};

/** The attempts of the present stage once one more has ended; `error` is null for an answer. */
export function attemptsWith(job: DocumentJob, call: Call, error: AttemptError | null): Attempt[] {
  const { startedAtMs, endedAtMs, extra = [], take = job.take } = call;
  const delays = job.delays?.filter(({ fromMs }) => fromMs < startedAtMs) ?? [];
  const attempt: Attempt = {
    sinceMs: job.waitingSinceMs,
    startedAtMs,
    endedAtMs,
    error,
    ...(extra.length === 0 ? {} : { extra }),
    ...(delays.length === 0 ? {} : { delays }),
    ...(take === undefined ? {} : { take }),
  };
  return [...job.attempts, attempt];
}

/** The job after an attempt that failed and was not the last one; its next wait begins where the attempt ended. */
export function afterFailure(job: DocumentJob, usedAttempts: number, call: Call, error: AttemptError): DocumentJob {
  const attempts = attemptsWith(job, call, error);
  const delays = job.delays?.filter(({ toMs }) => toMs > call.endedAtMs);
  return { ...job, usedAttempts, waitingSinceMs: call.endedAtMs, attempts, delays };
}

/** The job with what its present wait was for, from one moment to another; and with the call, if it was one. */
export const delayed = (job: DocumentJob, delay: Delay): DocumentJob =>
  delay.toMs > delay.fromMs ? { ...job, delays: withDelay(job.delays ?? [], delay) } : job;

/** The job with what calls took whose attempt brought no answer: whoever answers it counts that, too. */
export const jobWithSpent = (job: DocumentJob, spent: Usage | undefined): DocumentJob =>
  spent === undefined ? job : { ...job, spent: addUsage(job.spent ?? NO_USAGE, spent) };

/** The job with a call that brought nothing and used no attempt. */
export function withLostCall(
  job: DocumentJob,
  call: Call & { readonly why: AttemptError; readonly spent?: Usage | undefined },
  reason: DelayReason,
): DocumentJob {
  const { startedAtMs: fromMs, endedAtMs: toMs, why: error, take = job.take } = call;
  return delayed(jobWithSpent(job, call.spent), { reason, fromMs, toMs, call: { take, error } });
}

/** The job with its stage's draft written down, so that whoever gets it only hands it off. */
export const withDraft = (job: DocumentJob, draft: Draft): DocumentJob => ({ ...job, drafts: [...job.drafts, draft] });

/** The draft of the present stage, where no model need be asked any more; else null. */
export const draftToHandOff = (job: DocumentJob): Draft | null => job.drafts[job.stage] ?? null;
