import { KEYS, RECORD_VERSION, RECORDS, type CascadeRules, type PagePlan } from '@spillway/core';
import { createRecord, type Storage } from '@spillway/storage';
import { rulesOf } from './jobs.ts';

export const FACTS = { tenant: 'default', createdAtMs: Date.now(), expiresAtMs: Date.now() + 60_000 };

/** Writes the records of a batch, as the API and the validation do. */
export async function writeRecords(
  storage: Storage,
  id: string,
  tenant: string,
  cascades: Readonly<Record<string, CascadeRules>> = { test: rulesOf() },
  pages: readonly PagePlan[] = [{ first: 0, documents: 10, offset: 0, bytes: 1024 * 1024, lineBefore: 0 }],
): Promise<void> {
  await storage.create(KEYS.openMark(id), Buffer.from('{}'));
  await createRecord(storage, KEYS.manifest(id), RECORDS.manifest, {
    v: RECORD_VERSION,
    ...FACTS,
    id,
    tenant,
    inputFileId: 'file-0',
    endpoint: '/v1/chat/completions',
    completionWindow: '24h',
    metadata: null,
    outputExpiresAfterSeconds: null,
    requestDigest: '',
    cascades: { ...cascades },
  });
  await createRecord(storage, KEYS.validated(id), RECORDS.validated, {
    v: RECORD_VERSION,
    validatedAtMs: FACTS.createdAtMs,
    total: pages.reduce((sum, { documents }) => sum + documents, 0),
    cascades: Object.keys(cascades),
    pages: [...pages],
  });
}
