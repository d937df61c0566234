import { z } from 'zod';
import { countsRecord, moreRecord } from '../accounting/counts.ts';
import { price } from '../accounting/price.ts';
import { delaysRecord, waitsRecord } from '../accounting/waits.ts';
import { auditsRecord, auditsWritten } from '../audit/ledger.ts';
import { ASK_KINDS } from '../cascade/ask.ts';
import { auditRule } from '../cascade/audit-rule.ts';
import { DEDUPLICATE_RULES } from '../cascade/deduplicate.ts';
import { calibrationMethod } from '../calibration/index.ts';
import { agreementRule, signalSpec } from '../confidence/index.ts';
import { ENDPOINT_URLS, FORMAT_KINDS } from '../endpoints/index.ts';
import { REVIEW_VERDICTS } from '../document/review.ts';
import { aimRecord, promisedTerms } from '../promise/aim.ts';
import { isJsonObject } from '../text/json.ts';
import { badLinesRecord } from './bad-lines.ts';
import { calibrationRecord } from './calibration-record.ts';
import { copiesRecord } from './copies.ts';
import { documentIndexRecord } from './document-index.ts';
import { newestFirst } from './ids.ts';
import { pagePlanCodec } from './page-plan.ts';
import { drawsRecord } from './sample-draws.ts';
import { warningRecord } from './warning.ts';

/** Of a tenant's batches in work: `high` goes before the others. */
export const BATCH_PRIORITIES = ['normal', 'high'] as const;
export type BatchPriority = (typeof BATCH_PRIORITIES)[number];

/** Names of everything in storage. */
export const KEYS = {
  /** Says which version of Spillway writes here. */
  format: 'format.json',
  fileBytes: (id: string) => `files/${id}/bytes`,
  fileRecord: (id: string) => `files/${id}/record.json`,
  fileTombstone: (id: string) => `files/${id}/deleted.json`,
  /** A tombstone that stands ready: where there is no room for another one a deleted file gets this one. */
  spareTombstone: 'spare/deleted.json',
  manifest: (batch: string) => `batches/${batch}/manifest.json`,
  validated: (batch: string) => `batches/${batch}/validated.json`,
  indexes: (batch: string) => `batches/${batch}/index/`,
  index: (batch: string, digest: string) => `batches/${batch}/index/${digest}`,
  /** Beside the index, with which it goes. */
  copies: (batch: string, digest: string) => `batches/${batch}/index/copies-${digest}`,
  calibration: (batch: string) => `batches/${batch}/calibration.json`,
  ending: (batch: string) => `batches/${batch}/ending.json`,
  final: (batch: string) => `batches/${batch}/final.json`,
  redecisions: (batch: string) => `batches/${batch}/redecided/`,
  controls: (batch: string) => `batches/${batch}/control/`,
  /** What somebody wants of a batch in work; the one with the highest number counts. */
  control: (batch: string, number: number) => `batches/${batch}/control/${String(number).padStart(6, '0')}`,
  reviews: (batch: string) => `batches/${batch}/reviews/`,
  /** What somebody said of a document's answer. */
  review: (batch: string, document: number) => `batches/${batch}/reviews/${String(document).padStart(9, '0')}`,
  /** Says that another batch was decided anew from one, which keeps its pages until that one has ended. */
  redecision: (batch: string, anew: string) => `batches/${batch}/redecided/${anew}`,
  page: (batch: string, page: number) => `batches/${batch}/pages/${String(page).padStart(7, '0')}`,
  openMarks: 'open/',
  openMark: (batch: string) => `open/${batch}`,
  hookMarks: 'hooks/',
  hookMark: (batch: string) => `hooks/${batch}`,
  hooksDone: (batch: string) => `batches/${batch}/hooks/`,
  hookDone: (batch: string, target: string) => `batches/${batch}/hooks/${target}.json`,
  /** Says that the window of a batch was seen to be at risk; of its webhooks the same as of those about its end. */
  atRisk: (batch: string) => `batches/${batch}/at-risk.json`,
  riskMarks: 'risk-hooks/',
  riskMark: (batch: string) => `risk-hooks/${batch}`,
  riskHooksDone: (batch: string) => `batches/${batch}/risk-hooks/`,
  riskHookDone: (batch: string, target: string) => `batches/${batch}/risk-hooks/${target}.json`,
  /** Says that the audit of a batch has alarmed; of its webhooks the same as of those about its end. */
  promiseAtRisk: (batch: string) => `batches/${batch}/promise-at-risk.json`,
  promiseMarks: 'promise-hooks/',
  promiseMark: (batch: string) => `promise-hooks/${batch}`,
  promiseHooksDone: (batch: string) => `batches/${batch}/promise-hooks/`,
  promiseHookDone: (batch: string, target: string) => `batches/${batch}/promise-hooks/${target}.json`,
  audits: (batch: string) => `batches/${batch}/audit/`,
  audit: (batch: string, n: number) => `batches/${batch}/audit/${String(n).padStart(7, '0')}.json`,
  tenantMarks: 'known/',
  /** Says that a tenant has index keys: folders cannot be listed. */
  tenantMark: (tenant: string) => `known/${tenant}`,
  tenantFiles: (tenant: string) => `tenants/${tenant}/files/`,
  tenantFile: (tenant: string, createdAtMs: number, id: string) =>
    `tenants/${tenant}/files/${newestFirst(createdAtMs, id)}`,
  tenantBatches: (tenant: string) => `tenants/${tenant}/batches/`,
  tenantBatch: (tenant: string, createdAtMs: number, id: string) =>
    `tenants/${tenant}/batches/${newestFirst(createdAtMs, id)}`,
} as const;

const judgeRule = z.object({
  confidence: z.object({ signal: signalSpec, calibration: calibrationMethod.nullable() }),
  acceptAt: z.number(),
  /** Absent in what the version before wrote. */
  formats: z.array(z.enum(FORMAT_KINDS)).readonly().optional(),
  fields: z
    .record(
      z.string(),
      /** The version before goes by the stage's calibration. */
      z.object({ acceptAt: z.number(), calibration: calibrationMethod.optional() }),
    )
    .optional(),
});

const stageRules = z.object({
  model: z.string(),
  ask: z.enum(ASK_KINDS),
  tolerance: z.number().optional(),
  verdict: judgeRule.optional(),
  judge: judgeRule.nullable(),
  stopEarly: z.literal(true).optional(),
  limits: z.object({ contextTokens: z.int().nullable(), images: z.boolean(), tools: z.boolean() }),
  price: price.nullable(),
});

/** The rules of a batch's cascades, by the cascades' names. */
export const cascadeRulesRecord = z.record(
  z.string(),
  z.object({
    stages: z.array(stageRules).min(2).readonly(),
    shadow: z.boolean(),
    onDeadline: z.enum(['error', 'draft']),
    annotate: z.boolean(),
    /** Absent in what the version before wrote, and where no document is answered from another. */
    deduplicate: z.enum(DEDUPLICATE_RULES).optional(),
    /** Absent in what the version before wrote, and where the thresholds are fixed. */
    aim: aimRecord.optional(),
    agreement: agreementRule.optional(),
    sample: z.enum(['promise', 'accuracy', 'budget']).optional(),
    expertOnly: z.literal(true).optional(),
    certificate: promisedTerms.optional(),
    audit: auditRule.optional(),
    tightened: z.literal(true).optional(),
  }),
);

const lineError = z.object({
  code: z.string(),
  message: z.string(),
  param: z.string().nullable(),
  line: z.number().nullable(),
});

/** A client's labels, whatever they are called: zod's own record passes over `__proto__`. */
const labels = z.custom<Record<string, string>>(
  (value) => isJsonObject(value) && Object.values(value).every((text) => typeof text === 'string'),
);

const outcome = z.enum(['completed', 'failed', 'expired', 'cancelled']);

/** Raised when what is written changes; what another version wrote is not read as if it were this one's. */
export const RECORD_VERSION = 2;
const v = z.literal(RECORD_VERSION);

/** Everything written to storage. All times in Unix milliseconds, all sizes in bytes. */
export const RECORDS = {
  format: z.object({ v: z.int() }),
  file: z.object({
    v,
    id: z.string(),
    tenant: z.string(),
    filename: z.string(),
    purpose: z.enum(['batch', 'batch_output']),
    bytes: z.int(),
    /** Of an upload, blank ones too. Absent in what the version before wrote. */
    lines: z.int().optional(),
    createdAtMs: z.int(),
    expiresAtMs: z.int().nullable(),
    source: z.discriminatedUnion('kind', [
      z.object({ kind: z.literal('upload') }),
      z.object({ kind: z.literal('batch'), batch: z.string(), part: z.enum(['output', 'error']) }),
    ]),
    /** The batch whose documents these lines sample: clients do not see this file. */
    sampleOf: z.string().optional(),
  }),
  tombstone: z.object({ v, deletedAtMs: z.int() }),
  manifest: z.object({
    v,
    id: z.string(),
    tenant: z.string(),
    inputFileId: z.string(),
    endpoint: z.enum(ENDPOINT_URLS),
    completionWindow: z.string(),
    metadata: labels.nullable(),
    outputExpiresAfterSeconds: z.int().nullable(),
    createdAtMs: z.int(),
    expiresAtMs: z.int(),
    /** Digest of the request's body: the same Idempotency-Key with another body is an error. */
    requestDigest: z.string(),
    cascades: cascadeRulesRecord,
    /** Of a retry: which batch's failed documents these are. Absent in those that an older Spillway made. */
    retry: z
      .object({
        of: z.string(),
        /** How many retries lead here, this one included. */
        depth: z.int(),
        /** How many documents were taken of each page of that batch, or of the last before it that was validated, in order. */
        taken: z.array(z.int()),
      })
      .optional(),
    /** The batch whose documents this one samples, so that its thresholds are found: clients do not see this one. */
    sampleOf: z.string().optional(),
    /**
     * Of a batch that was decided anew: from which one, whose input and cascades it has, with other thresholds; or, by
     * `escalate`, the condition on results whose drafts go on, by `askAgain` on those that are asked about from the
     * beginning, while all else stays as it was. Absent in all others.
     */
    redecided: z
      .object({ from: z.string(), escalate: z.string().optional(), askAgain: z.string().optional() })
      .optional(),
  }),
  validated: z.object({
    v,
    validatedAtMs: z.int(),
    total: z.int(),
    /** The cascades that the documents name. */
    cascades: z.array(z.string()),
    pages: z.array(pagePlanCodec),
    /** Where bad lines go to the error file: which ones are. Absent: there are none. */
    badLines: badLinesRecord.optional(),
    /** Absent in what the version before wrote, and of a batch of one page. */
    index: documentIndexRecord.optional(),
    /** Absent where there are none. The version before asks about each document. */
    copies: copiesRecord.optional(),
    /** The documents by which thresholds are to be found. Absent where all are fixed. */
    draws: drawsRecord.optional(),
    /**
     * The batch ended without being validated, and this record keeps it so: no other one can be written any more. Its
     * ending stands before it. The version before reads a batch of no documents.
     */
    ruledOut: z.literal(true).optional(),
  }),
  /** The thresholds that were found for a batch, before any document outside its sample is enqueued. */
  calibration: z.object({ v, calibratedAtMs: z.int(), cascades: calibrationRecord }),
  ending: z.object({
    v,
    outcome,
    endedAtMs: z.int(),
    errors: z.array(lineError).default([]),
  }),
  final: z.object({
    v,
    outcome,
    total: z.int(),
    model: z.string().nullable(),
    counts: countsRecord,
    /** As in the footers: absent in what the version before wrote. */
    reasons: countsRecord.optional(),
    said: z.record(z.string(), z.string()).optional(),
    warnings: z.array(warningRecord).optional(),
    /** How far it was before its end, as `writeNotes` says it; absent in what the version before wrote. */
    notes: z.string().optional(),
    waits: waitsRecord.default({}),
    delays: delaysRecord.optional(),
    more: moreRecord.optional(),
    /** What its audits came to, by cascade. Absent: no cascade of it has one. */
    audits: auditsRecord.optional(),
    inProgressAtMs: z.int().nullable(),
    /** When finalizing or cancelling began. */
    closedAtMs: z.int(),
    endedAtMs: z.int(),
    errors: z.array(lineError),
    /** Per page: bytes of output lines and of error lines. */
    pages: z.array(z.tuple([z.int(), z.int()])),
    outputFileId: z.string().nullable(),
    errorFileId: z.string().nullable(),
  }),
  /** When the window of a batch was first seen to be at risk. */
  atRisk: z.object({ v, atMs: z.int() }),
  /** Audits of a batch, in the order in which they came in: the records of it are numbered. */
  audit: z.object({ v, ...auditsWritten }),
  /** When an audit of a batch first alarmed. */
  promiseAtRisk: z.object({ v, atMs: z.int() }),
  /** When a batch was decided anew from this one. */
  redecision: z.object({ v, atMs: z.int() }),
  /** What somebody wants of a batch in work. */
  control: z.object({ v, paused: z.boolean(), priority: z.enum(BATCH_PRIORITIES), atMs: z.int() }),
  /** What somebody said of an answer: it is right, or this one is. */
  review: z.object({
    v,
    customId: z.string(),
    verdict: z.enum(REVIEW_VERDICTS),
    /** The text of the right answer. */
    answer: z.string(),
    atMs: z.int(),
  }),
  /** A webhook that needs no more sending. */
  hookDone: z.object({ v, outcome: z.enum(['taken', 'given_up']), atMs: z.int() }),
} as const;

export type FileRecord = z.output<typeof RECORDS.file>;
export type Manifest = z.output<typeof RECORDS.manifest>;
export type Validated = z.output<typeof RECORDS.validated>;
export type CalibrationRecord = z.output<typeof RECORDS.calibration>;
export type ControlRecord = z.output<typeof RECORDS.control>;
export type ReviewRecord = z.output<typeof RECORDS.review>;
export type EndingRecord = z.output<typeof RECORDS.ending>;
export type FinalRecord = z.output<typeof RECORDS.final>;
