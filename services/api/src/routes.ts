import { ENDPOINT_URLS, ENDPOINTS, LIMITS } from '@spillway/core';
import { z } from 'zod';
import type { Api } from './api.ts';
import { cancelBatch } from './batches/cancel.ts';
import { createBatch } from './batches/create.ts';
import { batchesQuery, listBatches } from './batches/list.ts';
import { orderBody } from './batches/order.ts';
import { showReport } from './batches/report.ts';
import { resultsQuery, sendResults } from './batches/results.ts';
import { retryBatch, retryBody } from './batches/retry.ts';
import { showBatch } from './batches/show.ts';
import { DirectAnswers, directAnswer, directBody } from './direct/answer.ts';
import { unsupportedMediaType } from './errors.ts';
import { sendContent } from './files/content.ts';
import { filesQuery, listFiles } from './files/list.ts';
import { removeFile } from './files/remove.ts';
import { showFile } from './files/show.ts';
import { uploadBody, uploadFile } from './files/upload.ts';
import { listModels, showModel } from './models.ts';
import { jsonRoute, streamRoute, type Asked, type Route } from './route.ts';
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

const IDEMPOTENT = ['Idempotency-Key'] as const;
/** An inline input, and the rest of the body. */
const CREATE_BYTES = LIMITS.inlineRequestsBytes + LIMITS.requestBodyBytes;

/** The routes that need a key. They answer with and without `/v1` before them. */
export function routesOf(api: Api): readonly Route[] {
  return [...fileRoutes(api), ...batchRoutes(api), ...modelRoutes(api), ...directRoutes(api)];
}

function fileRoutes(api: Api): readonly Route[] {
  return [
    jsonRoute({
      method: 'POST',
      url: '/files',
      summary: 'Upload an input file',
      body: { type: 'multipart/form-data', schema: uploadBody },
      output: fileObject,
      errors: [408, 413, 415, 429],
      limitMs: null,
      answer: ({ caller, request }) => uploadFile(api, caller, request),
    }),
    jsonRoute({
      method: 'GET',
      url: '/files',
      summary: 'List files',
      query: filesQuery,
      output: pageOf(fileObject),
      errors: [404],
      answer: ({ tenant, query }) => listFiles(api, tenant, query),
    }),
    jsonRoute({
      method: 'GET',
      url: '/files/:id',
      summary: 'Show a file',
      output: fileObject,
      answer: ({ tenant, id }) => showFile(api, tenant, id),
    }),
    jsonRoute({
      method: 'DELETE',
      url: '/files/:id',
      summary: 'Delete a file',
      output: deletedFile,
      answer: ({ tenant, id }) => removeFile(api, tenant, id),
    }),
    streamRoute({
      method: 'GET',
      url: '/files/:id/content',
      summary: "Download a file's bytes, or one range of them",
      headers: ['Range'],
      output: { type: 'application/octet-stream', schema: z.string().meta({ format: 'binary' }) },
      errors: [416],
      answer: ({ tenant, id, ...http }) => sendContent(api, tenant, id, http),
    }),
  ];
}

function batchRoutes(api: Api): readonly Route[] {
  return [
    jsonRoute({
      method: 'POST',
      url: '/batches',
      summary: 'Create a batch',
      headers: IDEMPOTENT,
      body: { type: 'application/json', schema: orderBody },
      bodyBytes: CREATE_BYTES,
      output: batchObject,
      errors: [409, 413, 415, 429],
      answer: ({ caller, ...asked }) => createBatch(api, caller, bodyOf(asked)),
    }),
    jsonRoute({
      method: 'GET',
      url: '/batches',
      summary: 'List batches, newest first',
      query: batchesQuery,
      output: pageOf(batchObject),
      errors: [404],
      answer: ({ tenant, query }) => listBatches(api, tenant, query),
    }),
    jsonRoute({
      method: 'GET',
      url: '/batches/:id',
      summary: 'Show a batch',
      output: batchObject,
      answer: ({ tenant, id }) => showBatch(api, tenant, id),
    }),
    jsonRoute({
      method: 'POST',
      url: '/batches/:id/cancel',
      summary: 'Cancel a batch; what is finished stays',
      output: batchObject,
      errors: [409],
      answer: ({ tenant, id }) => cancelBatch(api, tenant, id),
    }),
    jsonRoute({
      method: 'POST',
      url: '/batches/:id/retry',
      summary: 'Make a new batch of the failed requests of an ended one',
      headers: IDEMPOTENT,
      body: { type: 'application/json', schema: retryBody, required: false },
      output: batchObject,
      errors: [409, 415, 429],
      limitMs: null,
      answer: ({ caller, id, ...asked }) => retryBatch(api, caller, { id, ...bodyOf(asked) }),
    }),
    jsonRoute({
      method: 'GET',
      url: '/batches/:id/report',
      summary: 'What each tier did, what it cost, and what the sequential wait cost; also while the batch is in work',
      output: batchReport,
      answer: ({ tenant, id }) => showReport(api, tenant, id),
    }),
    streamRoute({
      method: 'GET',
      url: '/batches/:id/results',
      summary: 'Read settled lines in input order, also before the end',
      query: resultsQuery,
      output: { type: 'application/json', schema: resultsPage },
      answer: ({ tenant, id, query, reply }) => sendResults(api, tenant, { id, query, reply }),
    }),
  ];
}

function modelRoutes(api: Api): readonly Route[] {
  return [
    jsonRoute({
      method: 'GET',
      url: '/models',
      summary: 'List the cascades that a request may name',
      output: modelList,
      answer: () => listModels(api),
    }),
    jsonRoute({
      method: 'GET',
      url: '/models/:id',
      summary: 'Show a cascade',
      output: modelObject,
      answer: ({ id }) => showModel(api, id),
    }),
  ];
}

function directRoutes(api: Api): readonly Route[] {
  const direct = new DirectAnswers(api);
  return ENDPOINT_URLS.map((url) =>
    jsonRoute({
      method: 'POST',
      url: url.slice('/v1'.length),
      summary: `Answer one document at once: ${ENDPOINTS[url].name}`,
      body: { type: 'application/json', schema: directBody },
      output: directAnswer,
      errors: [404, 413, 415, 429, 502, 504],
      limitMs: null,
      answer: ({ request, reply }) => {
        if (request.isMultipart()) throw unsupportedMediaType('application/json');
        return direct.answer({ url, request, reply });
      },
    }),
  );
}

function bodyOf({ request, idempotencyKey }: Pick<Asked, 'request' | 'idempotencyKey'>) {
  if (request.isMultipart()) throw unsupportedMediaType('application/json');
  return { body: request.body, idempotencyKey };
}
