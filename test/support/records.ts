import {
  KEYS,
  RECORD_VERSION,
  RECORDS,
  type CascadeRules,
  type Manifest,
  type PagePlan,
  type Validated,
} from '@spillway/core';
import { createRecord, type Storage } from '@spillway/storage';
import { rulesOf } from './jobs.ts';

export const FACTS = { tenant: 'default', createdAtMs: Date.now(), expiresAtMs: Date.now() + 60_000 };

/** What the API writes of a batch before it answers. */
export const manifestOf = (
  id: string,
  given: Pick<Manifest, 'tenant' | 'createdAtMs' | 'expiresAtMs' | 'cascades'> & Partial<Manifest>,
): Manifest => ({
  v: RECORD_VERSION,
  id,
  inputFileId: 'file-0',
  endpoint: '/v1/chat/completions',
  completionWindow: '24h',
  metadata: null,
  outputExpiresAfterSeconds: null,
  requestDigest: '',
  ...given,
});

/** A new batch with its file, as the API leaves them in storage; `text` is the file's. */
export async function writeNewBatch(storage: Storage, manifest: Manifest, text: string): Promise<void> {
  const { id, inputFileId, tenant, createdAtMs } = manifest;
  await storage.create(KEYS.fileBytes(inputFileId), Buffer.from(text));
  await createRecord(storage, KEYS.fileRecord(inputFileId), RECORDS.file, {
    v: RECORD_VERSION,
    id: inputFileId,
    tenant,
    filename: 'a.jsonl',
    purpose: 'batch',
    bytes: text.length,
    createdAtMs,
    expiresAtMs: null,
    source: { kind: 'upload' },
  });
  await storage.create(KEYS.openMark(id), Buffer.from('{}'));
  await createRecord(storage, KEYS.manifest(id), RECORDS.manifest, manifest);
}

/** What the validation writes of it. */
export const validatedOf = (
  validatedAtMs: number,
  cascades: readonly string[],
  pages: readonly PagePlan[],
): Validated => ({
  v: RECORD_VERSION,
  validatedAtMs,
  total: pages.reduce((sum, { documents }) => sum + documents, 0),
  cascades: [...cascades],
  pages: [...pages],
});

/** Writes the records of a batch, as the API and the validation do. */
export async function writeRecords(
  storage: Storage,
  id: string,
  tenant: string,
  cascades: Readonly<Record<string, CascadeRules>> = { test: rulesOf() },
  pages: readonly PagePlan[] = [{ first: 0, documents: 10, offset: 0, bytes: 1024 * 1024, lineBefore: 0 }],
): Promise<void> {
  await storage.create(KEYS.openMark(id), Buffer.from('{}'));
  const manifest = manifestOf(id, { ...FACTS, tenant, cascades: { ...cascades } });
  await createRecord(storage, KEYS.manifest(id), RECORDS.manifest, manifest);
  const validated = validatedOf(FACTS.createdAtMs, Object.keys(cascades), pages);
  await createRecord(storage, KEYS.validated(id), RECORDS.validated, validated);
}
