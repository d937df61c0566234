import type { Usage } from './completion.ts';
import type { EscalationReason } from './confidence.ts';
import type { EndpointUrl } from './endpoints/index.ts';
import type { JsonObject } from './json.ts';
import type { CascadeRules } from './rules.ts';

/** Raised when a job's shape changes; a worker leaves newer jobs to newer workers. */
export const JOB_VERSION = 1;

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
  /** Why it is not final. */
  readonly reason: EscalationReason;
  /** Unix milliseconds. */
  readonly startedAtMs: number;
  readonly endedAtMs: number;
};

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
  /** Unix milliseconds. */
  readonly fedAtMs: number;
  readonly deadlineMs: number;
  /** Tries of the present tier that the model used up. */
  readonly tries: number;
  /** When it began to wait in the present queue; a retry's wait begins where the last try ended. */
  readonly waitingSinceMs: number;
  /** The draft, once there is one; its presence is what makes a job an expert's. */
  readonly draft: Draft | null;
};
