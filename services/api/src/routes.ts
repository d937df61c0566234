import { ENDPOINT_URLS, ENDPOINTS, LIMITS, type Endpoint } from '@spillway/core';
import { LateError, within } from '@spillway/runtime';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { cancelBatch } from './batches/cancel.ts';
import { createBatch } from './batches/create.ts';
import { readCreateBody, type CreateBody } from './batches/create-body.ts';
import { batchesQuery, listBatches } from './batches/list.ts';
import { ORDER_KEYS, orderBody } from './batches/order.ts';
import type { BatchPlaces } from './batches/place.ts';
import { redecideBatch, redecideQuery } from './batches/redecide.ts';
import { redecisionPreview } from './batches/redecide-preview.ts';
import { showReport } from './batches/report.ts';
import { resultsQuery, sendResults } from './batches/results.ts';
import { RETRY_KEYS, retryBatch, retryBody } from './batches/retry.ts';
import { showBatch } from './batches/show.ts';
import { REDECIDE_KEYS, redecideBody } from './batches/thresholds.ts';
import { directAnswer, directBody, type DirectAnswers } from './direct/direct-answers.ts';
import { createQuery, readDryRun } from './dry-run/query.ts';
import type { DryRuns } from './dry-run/dry-run.ts';
import { tookTooLong, unsupportedMediaType } from './errors.ts';
import { sendContent } from './files/content.ts';
import { filesQuery, listFiles } from './files/list.ts';
import { removeFile } from './files/remove.ts';
import { showFile } from './files/show.ts';
import { uploadBody, uploadFile, type UploadLimits } from './files/upload.ts';
import { IGNORED_HEADER, ignoredKeys } from './ignored-keys.ts';
import { listModels, showModel, type Catalogue } from './models.ts';
import type { ByteSources } from './quota/stored-bytes.ts';
import { jsonRoute, MAX_ANSWER_MS, streamRoute, type Asked, type Route } from './route.ts';
import { batchEstimate } from './schemas/estimate.ts';
import {
  batchObject,
  deletedFile,
  fileObject,
  modelList,
  modelObject,
  pageOf,
  resultsPage,
} from './schemas/objects.ts';
import { batchReport } from './schemas/report.ts';
import type { Tenants } from './tenants.ts';

const IDEMPOTENT = ['Idempotency-Key'] as const;
const NAMES_IGNORED = { [IGNORED_HEADER]: 'The keys of the body that are not known and were ignored.' } as const;
/** An inline input, and the rest of the body. */
const MAX_CREATE_BYTES = LIMITS.inlineRequestsBytes + LIMITS.requestBodyBytes;

/** What the routes of files work with. */
export type FileSources = ByteSources & { readonly tenants: Tenants; readonly limits: UploadLimits };

export function fileRoutes(sources: FileSources): readonly Route[] {
  return [
    jsonRoute({
      method: 'POST',
      url: '/files',
      summary: 'Upload an input file',
      body: { type: 'multipart/form-data', schema: uploadBody },
      output: fileObject,
      errors: [408, 413, 415, 429],
      limitMs: null,
      answer: ({ caller, request }) => uploadFile(sources, caller, request),
    }),
    jsonRoute({
      method: 'GET',
      url: '/files',
      summary: 'List files',
      query: filesQuery,
      output: pageOf(fileObject),
      errors: [404],
      answer: ({ tenant, query }) => listFiles(sources, tenant, query),
    }),
    jsonRoute({
      method: 'GET',
      url: '/files/:id',
      summary: 'Show a file',
      output: fileObject,
      answer: ({ tenant, id }) => showFile(sources.records, tenant, id),
    }),
    jsonRoute({
      method: 'DELETE',
      url: '/files/:id',
      summary: 'Delete a file',
      output: deletedFile,
      answer: ({ tenant, id }) => removeFile(sources, tenant, id),
    }),
    streamRoute({
      method: 'GET',
      url: '/files/:id/content',
      summary: "Download a file's bytes, or one range of them",
      headers: ['Range'],
      output: { type: 'application/octet-stream', schema: z.string().meta({ format: 'binary' }) },
      isPartial: true,
      errors: [416],
      answer: ({ tenant, id, ...http }) => sendContent(sources, tenant, id, http),
    }),
  ];
}

export function batchRoutes(sources: BatchPlaces, dryRuns: DryRuns): readonly Route[] {
  return [
    createRoute(sources, dryRuns),
    jsonRoute({
      method: 'GET',
      url: '/batches',
      summary: 'List batches, newest first',
      query: batchesQuery,
      output: pageOf(batchObject),
      errors: [404],
      answer: ({ tenant, query }) => listBatches(sources, tenant, query),
    }),
    jsonRoute({
      method: 'GET',
      url: '/batches/:id',
      summary: 'Show a batch',
      output: batchObject,
      answer: ({ tenant, id }) => showBatch(sources, tenant, id),
    }),
    jsonRoute({
      method: 'POST',
      url: '/batches/:id/cancel',
      summary: 'Cancel a batch; what is finished stays',
      output: batchObject,
      errors: [409],
      answer: ({ tenant, id }) => cancelBatch(sources, tenant, id),
    }),
    ...batchesOfOthers(sources),
    jsonRoute({
      method: 'GET',
      url: '/batches/:id/report',
      summary: 'What each stage did, what it cost, and what the sequential wait cost; also while the batch is in work',
      output: batchReport,
      answer: ({ tenant, id }) => showReport(sources, tenant, id),
    }),
    streamRoute({
      method: 'GET',
      url: '/batches/:id/results',
      summary: 'Read settled lines in input order, also before the end',
      query: resultsQuery,
      output: { type: 'application/json', schema: resultsPage },
      answer: ({ tenant, id, query, reply }) => sendResults(sources, tenant, { id, query, reply }),
    }),
  ];
}

function createRoute(sources: BatchPlaces, dryRuns: DryRuns): Route {
  return jsonRoute({
    method: 'POST',
    url: '/batches',
    summary: 'Create a batch, or say with `dry_run=true` what it would be',
    query: createQuery,
    headers: IDEMPOTENT,
    body: { type: 'application/json', schema: orderBody },
    bodyBytes: MAX_CREATE_BYTES,
    takesText: true,
    output: z.union([batchObject, batchEstimate]),
    answerHeaders: NAMES_IGNORED,
    errors: [408, 409, 413, 415, 429],
    limitMs: null,
    answer: async ({ caller, idempotencyKey, query, ...http }) => {
      const pilot = readDryRun(query, http.request.query as object);
      const given = await createBodyOf(http);
      if (pilot !== null) return dryRuns.answer({ caller, reply: http.reply, given, pilot });
      return inTime(createBatch(sources, caller, { given, idempotencyKey }));
    },
  });
}

/** Routes that make a batch of another one. */
function batchesOfOthers(sources: BatchPlaces): readonly Route[] {
  return [
    jsonRoute({
      method: 'POST',
      url: '/batches/:id/retry',
      summary: 'Make a new batch of the failed requests of an ended one, or show the one that was made of them',
      body: { type: 'application/json', schema: retryBody, required: false },
      output: batchObject,
      answerHeaders: NAMES_IGNORED,
      errors: [408, 409, 413, 415, 429],
      limitMs: null,
      answer: ({ caller, id, ...http }) => retryBatch(sources, caller, { id, body: knownBodyOf(http, RETRY_KEYS) }),
    }),
    jsonRoute({
      method: 'POST',
      url: '/batches/:id/redecide',
      summary:
        'Decide an ended batch by other thresholds: make a new one that keeps every answer that stands, and asks for ' +
        'the difference',
      query: redecideQuery,
      body: { type: 'application/json', schema: redecideBody },
      output: z.union([batchObject, redecisionPreview]),
      answerHeaders: NAMES_IGNORED,
      errors: [408, 409, 413, 415, 429],
      limitMs: null,
      answer: ({ caller, id, query, ...http }) =>
        redecideBatch(sources, caller, {
          id,
          body: knownBodyOf(http, REDECIDE_KEYS),
          isPreview: query.preview === 'true',
        }),
    }),
  ];
}

export function modelRoutes(catalogue: Catalogue): readonly Route[] {
  return [
    jsonRoute({
      method: 'GET',
      url: '/models',
      summary: 'List the cascades that a request may name',
      output: modelList,
      answer: () => listModels(catalogue),
    }),
    jsonRoute({
      method: 'GET',
      url: '/models/:id',
      summary: 'Show a cascade',
      output: modelObject,
      answer: ({ id }) => showModel(catalogue, id),
    }),
  ];
}

export function directRoutes(direct: DirectAnswers): readonly Route[] {
  return ENDPOINT_URLS.map((url) =>
    streamRoute({
      method: 'POST',
      url: url.slice('/v1'.length),
      summary: `Answer one document at once: ${ENDPOINTS[url].name}`,
      body: { type: 'application/json', schema: bodySchema(ENDPOINTS[url]) },
      output: { type: 'application/json', schema: directAnswer },
      also: [{ type: 'text/event-stream', schema: eventStream }],
      errors: [404, 408, 413, 415, 429, 502, 504],
      answer: ({ caller, request, reply }) => {
        refuseForms(request);
        return direct.answer({ url, caller, request, reply });
      },
    }),
  );
}

const eventStream = z
  .string()
  .meta({ description: "Server-sent events as OpenAI's, where the body has `stream: true`." });

/** What the model is to answer, by the field that an endpoint reads it from. */
const INPUTS = {
  messages: z.array(z.looseObject({})).min(1),
  prompt: z.union([z.string(), z.array(z.unknown()).min(1)]),
  input: z.union([z.string().min(1), z.array(z.unknown()).min(1)]),
} as const satisfies Record<Endpoint['inputField'], z.ZodType>;

/** The body that an endpoint takes, as it is shown; the direct answer itself reads it. */
function bodySchema({ name, inputField }: Endpoint): z.ZodType {
  const shape = { [inputField]: INPUTS[inputField], stream: z.boolean().nullish() };
  return directBody.extend(shape).meta({
    id: `${name.replaceAll(' ', '')}Request`,
    description: 'As for OpenAI; `model` is the name of a cascade.',
  });
}

/** A form has no body yet, as it is read when its files are. */
function refuseForms(request: FastifyRequest): void {
  if (request.isMultipart()) throw unsupportedMediaType('application/json');
}

/** What a dry run beside it may take longer for, a create may not. */
async function inTime<Answer>(work: Promise<Answer>): Promise<Answer> {
  try {
    return await within(MAX_ANSWER_MS, work);
  } catch (error) {
    throw error instanceof LateError ? tookTooLong() : error;
  }
}

type Http = Pick<Asked, 'request' | 'reply'>;

async function createBodyOf({ request, reply }: Http): Promise<CreateBody> {
  refuseForms(request);
  const given = await readCreateBody(request.body as string | undefined);
  nameIgnored(reply, given.body, ORDER_KEYS);
  return given;
}

/** The body of a request that may have these keys. */
function knownBodyOf({ request, reply }: Http, keys: readonly string[]): unknown {
  refuseForms(request);
  nameIgnored(reply, request.body, keys);
  return request.body;
}

/** Names the keys of a body that are not known in its answer's header. */
function nameIgnored(reply: FastifyReply, body: unknown, known: readonly string[]): void {
  const ignored = ignoredKeys(body, known);
  if (ignored !== null) reply.header(IGNORED_HEADER, ignored);
}
