import type { Usage } from './completion.ts';
import type { DraftEvidence, EscalationReason, FieldScore } from './confidence/index.ts';
import type { EndpointUrl } from './endpoints/index.ts';
import type { JsonObject } from './json.ts';
import type { CascadeRules } from './rules.ts';
import type { ExtraCall, TierAttempt, TryError } from './times.ts';

/** Raised when a job's shape changes; a worker leaves newer jobs to newer workers, and drops older ones: they are fed again. */
export const JOB_VERSION = 2;

/** What a model answered, as it is written into a result. */
export type Answer = {
  readonly status: number;
  readonly requestId: string | null;
  readonly body: unknown;
  readonly usage: Usage;
};

/** Why a call has no answer from HTTP. */
export type NoAnswer = { readonly code: string; readonly message: string };

/** What the drafter said of a document and what was made of it. */
export type Draft = {
  readonly model: string;
  readonly answer: Answer | null;
  readonly score: number | null;
  readonly confidence: number | null;
  /** The least sure values of a JSON answer, least sure first. */
  readonly fields: readonly FieldScore[] | null;
  /** What every signal says, where both tiers run; else null. */
  readonly evidence: DraftEvidence | null;
  /** Why it is not final. */
  readonly reason: EscalationReason;
  /** Every try, the last one included. */
  readonly attempts: readonly TierAttempt[];
  /** The last try's; Unix milliseconds. */
  readonly startedAtMs: number;
  readonly endedAtMs: number;
};

/** How often a document was refused (429, 503) though its server answered others in between, and when it last was. */
export type Refused = { readonly times: number; readonly atMs: number };

/** A document on its way through the tiers: the data of its job, in either queue. */
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
  readonly rules: CascadeRules;
  readonly endpoint: EndpointUrl;
  readonly body: JsonObject;
  /** Its trace is kept whatever comes of it. */
  readonly sampled: boolean;
  /** Unix milliseconds. */
  readonly fedAtMs: number;
  readonly deadlineMs: number;
  /** Tries of the present tier that the model used up. */
  readonly tries: number;
  /** When it began to wait in the present queue; a retry's wait begins where the last try ended. */
  readonly waitingSinceMs: number;
  /** The tries of the present tier that failed. */
  readonly attempts: readonly TierAttempt[];
  /** How the server refused it; absent: it did not. */
  readonly refused?: Refused | undefined;
  /** When the expert's job was made; null for a drafter's. */
  readonly handedOverAtMs: number | null;
  /** The draft, once there is one; its presence is what makes a job an expert's. */
  readonly draft: Draft | null;
};

/** A call of a tier's model, by its times in Unix milliseconds. */
type Call = {
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  readonly extra?: readonly ExtraCall[] | undefined;
};

/** The tries of the present tier once one more has ended; `error` is null for an answer. */
export function attemptsWith(job: DocumentJob, call: Call, error: TryError | null): TierAttempt[] {
  const { startedAtMs, endedAtMs, extra = [] } = call;
  const attempt = { sinceMs: job.waitingSinceMs, startedAtMs, endedAtMs, error };
  return [...job.attempts, extra.length === 0 ? attempt : { ...attempt, extra }];
}

/** The job after a try that failed and did not use up the last one; its next wait begins where the try ended. */
export function afterFailure(job: DocumentJob, tries: number, call: Call, error: TryError): DocumentJob {
  return { ...job, tries, waitingSinceMs: call.endedAtMs, attempts: attemptsWith(job, call, error) };
}

/** Whether no model need be asked any more: a drafter's job whose draft is written down and only to be handed over. */
export function isHandOverOnly(job: DocumentJob): boolean {
  return job.draft !== null && job.handedOverAtMs === null;
}

/** The expert's job of an escalated document. */
export function escalatedJob(job: DocumentJob, draft: Draft, nowMs: number): DocumentJob {
  return { ...job, draft, tries: 0, attempts: [], refused: undefined, waitingSinceMs: nowMs, handedOverAtMs: nowMs };
}

/** The expert's job of a document that its drafter is known not to be able to take. */
export function withoutDraft(job: DocumentJob, reason: EscalationReason, nowMs: number): DocumentJob {
  const none = { answer: null, score: null, confidence: null, fields: null, evidence: null };
  const draft = { model: job.rules.drafter, ...none, reason, attempts: [], startedAtMs: nowMs, endedAtMs: nowMs };
  return escalatedJob(job, draft, nowMs);
}
