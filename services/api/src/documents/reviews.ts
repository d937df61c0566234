import {
  isJsonObject,
  KEYS,
  LIMITS,
  lineAnswer,
  lineOfJson,
  RECORD_VERSION,
  RECORDS,
  REVIEW_VERDICTS,
  shownReview,
  type Json,
  type ResultLine,
  type ReviewRecord,
  type ShownReview,
} from '@spillway/core';
import { mapConcurrent, writeJson } from '@spillway/runtime';
import { createRecord, readRecord, walkKeys, type Records, type Storage } from '@spillway/storage';
import { z } from 'zod';
import { linkOf } from '../batches/chain.ts';
import { ApiError, badRequest, conflict, invalidValue, missingParameter } from '../errors.ts';
import { ownBatch } from '../ownership.ts';
import { after, limit, text } from '../schemas/parts.ts';
import { read } from '../schemas/read.ts';
import { findDocument } from './find-document.ts';
import type { LineSources } from './known-lines.ts';
import { readLine } from './read-line.ts';

const fields = z.object({
  custom_id: text(5 * LIMITS.customIdCharacters).meta({ description: 'Of the document, as lines have it.' }),
  verdict: z.enum(REVIEW_VERDICTS),
  answer: z.string().nullish().meta({ description: 'The text of the right answer; only with `corrected`.' }),
});

export const reviewBody = fields.meta({ id: 'CreateReview' });

/** The keys that a review's body may have. */
export const REVIEW_KEYS: readonly string[] = Object.keys(fields.shape);

/** A review as the API shows it. */
export const reviewObject = z
  .strictObject({ object: z.literal('batch.review'), custom_id: z.string(), ...shownReview.shape })
  .meta({ id: 'BatchReview' });

export const reviewsQuery = z.object({ limit: limit({ least: 1, most: 1_000, fallback: 100 }), after });

export const reviewsPage = z.strictObject({
  object: z.literal('list'),
  data: z.array(reviewObject),
  cursor: z.string().nullable().meta({ description: 'What `after` takes to go on from here; null: there is nothing.' }),
  has_more: z.boolean(),
});

type Sources = LineSources & { readonly records: Records };

const READS_AT_A_TIME = 16;

/** A page of reviews is one text: it ends where their answers, which may be long, have so many bytes. */
const MAX_PAGE_BYTES = 1024 * 1024;

/** A directory is read whole for each listing. */
const KEYS_AT_A_TIME = 100_000;

/** Writes down what somebody says of a document's answer. It is said once: the first one's word stands. */
export async function createReview(
  sources: Sources,
  tenant: string,
  { id, body }: { readonly id: string; readonly body: unknown },
): Promise<z.input<typeof reviewObject>> {
  const { storage, records } = sources;
  const { custom_id: customId, verdict, answer: corrected } = read(reviewBody, body);
  const manifest = await ownBatch(records, tenant, id);
  const found = await findDocument(sources, { link: await linkOf(records, id), manifest }, customId);
  if (found === null) {
    throw new ApiError(404, `The batch '${id}' has no document with this custom_id.`, { param: 'custom_id' });
  }
  const given = found.result === null ? null : lineAnswer(await readLine(found.result));
  if (given === null) throw conflict('This document has no answer yet that could be reviewed.', 'no_answer');
  const answer = rightAnswer(verdict, given, corrected ?? null);
  const wanted: ReviewRecord = { v: RECORD_VERSION, customId, verdict, answer, atMs: Date.now() };
  const key = KEYS.review(id, found.document);
  const { record } = await createRecord(storage, key, RECORDS.review, wanted);
  if (record.verdict !== verdict || record.answer !== answer) {
    throw conflict('Somebody has reviewed this document before.', 'already_reviewed');
  }
  return objectOf(record);
}

function rightAnswer(verdict: ReviewRecord['verdict'], given: string, corrected: string | null): string {
  if (verdict === 'corrected' && corrected === null) throw missingParameter('answer');
  if (verdict === 'accepted' && corrected !== null) {
    throw invalidValue('answer', corrected, "none: with 'accepted' the answer is that of the document");
  }
  const answer = corrected ?? given;
  if (Buffer.byteLength(answer) <= LIMITS.labelBytes) return answer;
  throw badRequest(`An answer that is reviewed has at most ${LIMITS.labelBytes} bytes.`, {
    param: 'answer',
    code: 'string_above_max_length',
  });
}

/** What was said of a batch's documents, in input order. */
export async function listReviews(
  { storage, records }: Pick<Sources, 'storage' | 'records'>,
  tenant: string,
  { id, query }: { readonly id: string; readonly query: z.output<typeof reviewsQuery> },
): Promise<z.input<typeof reviewsPage>> {
  await ownBatch(records, tenant, id);
  const folder = KEYS.reviews(id);
  const from = query.after === undefined ? {} : { after: `${folder}${cursorName(query.after)}` };
  const keys = await storage.list(folder, { ...from, limit: query.limit + 1 });
  const data: z.input<typeof reviewObject>[] = [];
  let [looked, bytes] = [0, 0];
  while (looked < Math.min(keys.length, query.limit) && bytes < MAX_PAGE_BYTES) {
    const some = keys.slice(looked, Math.min(looked + READS_AT_A_TIME, query.limit));
    const found = await mapConcurrent(some, READS_AT_A_TIME, (key) => readRecord(storage, key, RECORDS.review));
    for (const review of found.filter((one) => one !== null)) {
      data.push(objectOf(review));
      bytes += Buffer.byteLength(JSON.stringify(review.answer));
    }
    looked += some.length;
  }
  const last = keys[looked - 1];
  return {
    object: 'list',
    data,
    cursor: last === undefined ? null : `v_${last.slice(folder.length)}`,
    has_more: keys.length > looked,
  };
}

function cursorName(cursor: string): string {
  const name = /^v_(\d{9})$/.exec(cursor)?.[1];
  if (name === undefined) throw invalidValue('after', cursor, "a 'cursor' of an earlier answer");
  return name;
}

const shownOf = ({ verdict, answer, atMs }: ReviewRecord): ShownReview => ({
  verdict,
  answer,
  at: Math.floor(atMs / 1000),
});

const objectOf = (record: ReviewRecord): z.input<typeof reviewObject> => ({
  object: 'batch.review',
  custom_id: record.customId,
  ...shownOf(record),
});

/** The reviews of a batch: which documents have one is known at once, what it says is read when it is asked for. */
export class Reviews {
  readonly #storage: Storage;
  readonly #batch: string;
  readonly #documents: ReadonlySet<number>;

  private constructor(storage: Storage, batch: string, documents: ReadonlySet<number>) {
    this.#storage = storage;
    this.#batch = batch;
    this.#documents = documents;
  }

  /** Those of documents from one on. */
  static async of(storage: Storage, batch: string, from = 0): Promise<Reviews> {
    const folder = KEYS.reviews(batch);
    const documents = new Set<number>();
    const before = from === 0 ? null : KEYS.review(batch, from - 1);
    for await (const keys of walkKeys(storage, folder, before, KEYS_AT_A_TIME))
      for (const key of keys) documents.add(Number(key.slice(folder.length)));
    return new Reviews(storage, batch, documents);
  }

  /** Of one document, without looking which others have one. */
  static ofOne(storage: Storage, batch: string, document: number): Reviews {
    return new Reviews(storage, batch, new Set([document]));
  }

  /** The right answers of those of some documents that were reviewed. */
  async answersOf(documents: Iterable<number>): Promise<ReadonlyMap<number, string>> {
    const reviewed = [...documents].filter((document) => this.#documents.has(document));
    const found = await mapConcurrent(reviewed, READS_AT_A_TIME, async (document) => {
      const review = await this.#read(document);
      return review === null ? [] : [[document, review.answer] as const];
    });
    return new Map(found.flat());
  }

  async #read(document: number): Promise<ShownReview | null> {
    if (!this.#documents.has(document)) return null;
    const record = await readRecord(this.#storage, KEYS.review(this.#batch, document), RECORDS.review);
    return record === null ? null : shownOf(record);
  }

  /** A line with what was said of it; one that says nothing of its cascade stays as it is. */
  async join(document: number, bytes: Buffer): Promise<Buffer> {
    const review = await this.#read(document);
    if (review === null) return bytes;
    const line: ResultLine = await readLine(bytes);
    if (!isJsonObject(line.cascade)) return bytes;
    return Buffer.from(
      lineOfJson(await writeJson({ ...line, cascade: { ...line.cascade, review } } as unknown as Json)),
    );
  }
}
