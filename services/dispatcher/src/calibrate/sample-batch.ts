import {
  digest,
  drawnDocuments,
  KEYS,
  MAX_USD_KEY,
  pageOfDocument,
  RECORD_VERSION,
  RECORDS,
  sampleFileId,
  sampleIdOf,
  sampleRules,
} from '@spillway/core';
import { admit, redisNowMs, type RedisStore } from '@spillway/redis';
import { createRecord, readDocumentLines, uploadOnce, type BatchPlan, type Storage } from '@spillway/storage';

/** The share of what is left of a batch's window that its sample may take: the rest of the batch waits for it. */
const WINDOW_SHARE = 0.5;

const EMPTY = Buffer.from('{}');
const NEWLINE = Buffer.from('\n');

/**
 * Makes the batch that answers a batch's drawn documents by every stage. It is a batch like others, so that it survives
 * what they do; clients do not see it, as it has no index key. The manifest is what makes it, as of any batch: whoever
 * comes second adopts what stands.
 */
export async function makeSample(
  { redis, storage }: { readonly redis: RedisStore; readonly storage: Storage },
  plan: BatchPlan,
): Promise<void> {
  const { id: batch, tenant, createdAtMs, endpoint, completionWindow, metadata } = plan.manifest;
  const id = sampleIdOf(batch);
  const inputFileId = sampleFileId(id);
  await storage.create(KEYS.openMark(id), EMPTY);
  const bytes = await uploadOnce(storage, KEYS.fileBytes(inputFileId), drawnLines(storage, plan));
  await createRecord(storage, KEYS.fileRecord(inputFileId), RECORDS.file, {
    v: RECORD_VERSION,
    id: inputFileId,
    tenant,
    filename: `${id}.jsonl`,
    purpose: 'batch',
    bytes,
    createdAtMs,
    expiresAtMs: null,
    source: { kind: 'upload' },
    sampleOf: batch,
  });
  const cap = metadata?.[MAX_USD_KEY];
  const sampled = Object.entries(plan.cascades).flatMap(([name, rules]) =>
    rules.aim === undefined ? [] : [[name, sampleRules(rules)] as const],
  );
  const nowMs = await redisNowMs(redis);
  const { record } = await createRecord(storage, KEYS.manifest(id), RECORDS.manifest, {
    v: RECORD_VERSION,
    id,
    tenant,
    inputFileId,
    endpoint,
    completionWindow,
    metadata: cap === undefined ? null : { [MAX_USD_KEY]: cap },
    outputExpiresAfterSeconds: null,
    createdAtMs,
    expiresAtMs: Math.round(nowMs + WINDOW_SHARE * Math.max(0, plan.manifest.expiresAtMs - nowMs)),
    requestDigest: digest('sample', batch),
    cascades: Object.fromEntries(sampled),
    sampleOf: batch,
  });
  await admit(redis, id, { tenant, createdAtMs, expiresAtMs: record.expiresAtMs });
}

/** The lines of the drawn documents, in the order of the batch. */
async function* drawnLines(storage: Storage, plan: BatchPlan): AsyncGenerator<Uint8Array> {
  const { manifest, pages, draws } = plan;
  const byPage = Map.groupBy(drawnDocuments(draws ?? {}), (document) => pageOfDocument(pages, document));
  for (const [page, documents] of byPage) {
    const at = page === null ? undefined : pages[page];
    if (at === undefined) throw new Error(`${manifest.id} draws documents that it does not have`);
    const lines = await readDocumentLines(storage, plan, at);
    if (lines === null) throw new Error(`The input of ${manifest.id} is gone from storage (${manifest.inputFileId})`);
    const byDocument = new Map(lines);
    for (const document of documents) {
      const line = byDocument.get(document);
      if (line === undefined) throw new Error(`The input of ${manifest.id} changed after validation`);
      yield Buffer.concat([line.bytes, NEWLINE]);
    }
  }
}
