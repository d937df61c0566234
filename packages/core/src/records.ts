import { z } from 'zod';
import { COUNTERS } from './account.ts';
import { calibrationMethod } from './calibration/index.ts';
import { signalSpec } from './confidence/index.ts';
import { waitsRecord } from './waits.ts';
import { ENDPOINT_URLS } from './endpoints/index.ts';
import { newestFirst } from './ids.ts';

/** Names of everything in storage. */
export const KEYS = {
  fileBytes: (id: string) => `files/${id}/bytes`,
  fileRecord: (id: string) => `files/${id}/record.json`,
  fileTombstone: (id: string) => `files/${id}/deleted.json`,
  manifest: (batch: string) => `batches/${batch}/manifest.json`,
  validated: (batch: string) => `batches/${batch}/validated.json`,
  ending: (batch: string) => `batches/${batch}/ending.json`,
  final: (batch: string) => `batches/${batch}/final.json`,
  page: (batch: string, page: number) => `batches/${batch}/pages/${String(page).padStart(7, '0')}`,
  openMarks: 'open/',
  openMark: (batch: string) => `open/${batch}`,
  hookMarks: 'hooks/',
  hookMark: (batch: string) => `hooks/${batch}`,
  hooksDone: (batch: string) => `batches/${batch}/hooks/`,
  hookDone: (batch: string, target: string) => `batches/${batch}/hooks/${target}.json`,
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

const price = z.object({ input: z.number(), output: z.number() }).nullable();

/** Rules that were written before signals had parameters and calibrations. */
function upgraded(value: unknown): unknown {
  const old = value as { readonly signal?: unknown; readonly confidence?: unknown } | null;
  if (typeof old !== 'object' || old === null || old.confidence !== undefined) return value;
  return { ...old, confidence: { signal: { name: old.signal }, calibration: null } };
}

const NO_LIMITS = { contextTokens: null, images: true, tools: true };

const rulesNow = z.object({
  drafter: z.string(),
  expert: z.string(),
  confidence: z.object({ signal: signalSpec, calibration: calibrationMethod.nullable() }),
  acceptAt: z.number(),
  both: z.boolean().default(false),
  limits: z.object({ contextTokens: z.int().nullable(), images: z.boolean(), tools: z.boolean() }).default(NO_LIMITS),
  onDeadline: z.enum(['error', 'draft']),
  annotate: z.boolean(),
  draftPrice: price,
  expertPrice: price,
});

const rules = z.preprocess(upgraded, rulesNow);

const lineError = z.object({
  code: z.string(),
  message: z.string(),
  param: z.string().nullable(),
  line: z.number().nullable(),
});

const outcome = z.enum(['completed', 'failed', 'expired', 'cancelled']);

/** A counter that was added later is 0 in what was written before. */
const counts = z.object(
  Object.fromEntries(COUNTERS.map((name) => [name, z.int().default(0)])) as Record<
    (typeof COUNTERS)[number],
    z.ZodDefault<z.ZodInt>
  >,
);

/** Everything written to storage. All times in Unix milliseconds, all sizes in bytes. */
export const RECORDS = {
  file: z.object({
    v: z.literal(1),
    id: z.string(),
    tenant: z.string(),
    filename: z.string(),
    purpose: z.enum(['batch', 'batch_output']),
    bytes: z.int(),
    createdAtMs: z.int(),
    expiresAtMs: z.int().nullable(),
    source: z.discriminatedUnion('kind', [
      z.object({ kind: z.literal('upload') }),
      z.object({ kind: z.literal('batch'), batch: z.string(), part: z.enum(['output', 'error']) }),
    ]),
  }),
  tombstone: z.object({ v: z.literal(1), deletedAtMs: z.int() }),
  manifest: z.object({
    v: z.literal(1),
    id: z.string(),
    tenant: z.string(),
    inputFileId: z.string(),
    endpoint: z.enum(ENDPOINT_URLS),
    completionWindow: z.string(),
    metadata: z.record(z.string(), z.string()).nullable(),
    outputExpiresAfterSeconds: z.int().nullable(),
    createdAtMs: z.int(),
    expiresAtMs: z.int(),
    /** Digest of the request's body: the same Idempotency-Key with another body is an error. */
    requestDigest: z.string(),
    cascades: z.record(z.string(), rules),
  }),
  validated: z.object({
    v: z.literal(1),
    validatedAtMs: z.int(),
    total: z.int(),
    /** The cascades that the documents name. */
    cascades: z.array(z.string()),
    /** Per page: first document, documents, byte offset, bytes, physical line before. */
    pages: z.array(z.tuple([z.int(), z.int(), z.int(), z.int(), z.int()])),
  }),
  ending: z.object({
    v: z.literal(1),
    outcome,
    endedAtMs: z.int(),
    errors: z.array(lineError).default([]),
  }),
  final: z.object({
    v: z.literal(1),
    outcome,
    total: z.int(),
    model: z.string().nullable(),
    counts,
    waits: waitsRecord.default({}),
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
  /** A webhook that needs no more sending. */
  hookDone: z.object({ v: z.literal(1), outcome: z.enum(['taken', 'given_up']), atMs: z.int() }),
} as const;

export type FileRecord = z.output<typeof RECORDS.file>;
export type Manifest = z.output<typeof RECORDS.manifest>;
export type Validated = z.output<typeof RECORDS.validated>;
export type EndingRecord = z.output<typeof RECORDS.ending>;
export type FinalRecord = z.output<typeof RECORDS.final>;
