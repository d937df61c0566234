import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Api } from './api.ts';
import { cancelBatch } from './batches/cancel.ts';
import { createBatch } from './batches/create.ts';
import { listBatches } from './batches/list.ts';
import { showBatch } from './batches/show.ts';
import { unsupportedMediaType } from './errors.ts';
import { sendContent } from './files/content.ts';
import { listFiles } from './files/list.ts';
import { removeFile } from './files/remove.ts';
import { showFile } from './files/show.ts';
import { uploadFile } from './files/upload.ts';
import { listModels, showModel } from './models.ts';
import type { Query } from './query.ts';

/** A request is answered within this, unless it carries a file. */
const ANSWER_LIMIT_MS = 30_000;

type Asked = {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly tenant: string;
  readonly id: string;
};

export type Route = {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly url: string;
  /** Null: as long as bytes flow. */
  readonly limitMs: number | null;
  readonly answer: (asked: Asked) => unknown;
};

const short = { limitMs: ANSWER_LIMIT_MS } as const;
const long = { limitMs: null } as const;
const queryOf = (request: FastifyRequest): Query => request.query as Query;

/** The routes that need a key. They answer with and without `/v1` before them. */
export function routesOf(api: Api): readonly Route[] {
  return [
    { method: 'POST', url: '/files', ...long, answer: ({ tenant, request }) => uploadFile(api, tenant, request) },
    {
      method: 'GET',
      url: '/files',
      ...short,
      answer: ({ tenant, request }) => listFiles(api, tenant, queryOf(request)),
    },
    { method: 'GET', url: '/files/:id', ...short, answer: ({ tenant, id }) => showFile(api, tenant, id) },
    { method: 'DELETE', url: '/files/:id', ...short, answer: ({ tenant, id }) => removeFile(api, tenant, id) },
    {
      method: 'GET',
      url: '/files/:id/content',
      ...long,
      answer: ({ tenant, id, ...http }) => sendContent(api, tenant, id, http),
    },
    {
      method: 'POST',
      url: '/batches',
      ...short,
      answer: ({ tenant, request }) => createBatch(api, tenant, createOf(request)),
    },
    {
      method: 'GET',
      url: '/batches',
      ...short,
      answer: ({ tenant, request }) => listBatches(api, tenant, queryOf(request)),
    },
    { method: 'GET', url: '/batches/:id', ...short, answer: ({ tenant, id }) => showBatch(api, tenant, id) },
    { method: 'POST', url: '/batches/:id/cancel', ...short, answer: ({ tenant, id }) => cancelBatch(api, tenant, id) },
    { method: 'GET', url: '/models', ...short, answer: () => listModels(api) },
    { method: 'GET', url: '/models/:id', ...short, answer: ({ id }) => showModel(api, id) },
  ];
}

function createOf(request: FastifyRequest): { body: unknown; idempotencyKey: string | null } {
  if (request.isMultipart()) throw unsupportedMediaType('application/json');
  const key = request.headers['idempotency-key'];
  return { body: request.body, idempotencyKey: typeof key === 'string' && key !== '' ? key : null };
}
