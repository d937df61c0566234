import { LIMITS } from '@spillway/core';
import type { Queues } from '@spillway/redis';
import { LateError, within } from '@spillway/runtime';
import { z } from 'zod';
import { cancelBatch } from '../batches/cancel.ts';
import { controlBatch, PRIORITY_KEYS, priorityBody, readPriority } from '../batches/control.ts';
import { createBatch } from '../batches/create.ts';
import { readCreateBody, type CreateBody } from '../batches/create-body.ts';
import { batchesQuery, listBatches } from '../batches/list.ts';
import { ORDER_KEYS, orderBody } from '../batches/order.ts';
import type { BatchPlaces } from '../batches/place.ts';
import { redecideBatch, redecideQuery } from '../batches/redecide.ts';
import { redecisionPreview, type Previews } from '../batches/redecide-preview.ts';
import { showReport } from '../batches/report.ts';
import { resultsQuery, sendResults } from '../batches/results.ts';
import { RETRY_KEYS, retryBatch, retryBody } from '../batches/retry.ts';
import { showBatch } from '../batches/show.ts';
import { REDECIDE_KEYS, redecideBody } from '../batches/thresholds.ts';
import type { DryRuns } from '../dry-run/dry-run.ts';
import { createQuery, readDryRun } from '../dry-run/query.ts';
import { tookTooLong } from '../errors.ts';
import type { BatchEvents } from '../events/events.ts';
import { IGNORED_HEADER } from '../ignored-keys.ts';
import { jsonRoute, MAX_ANSWER_MS, streamRoute, type Route } from '../route.ts';
import { refuseMisspelt } from '../schemas/misspelt.ts';
import { batchEstimate } from '../schemas/estimate.ts';
import { batchObject, pageOf, resultsPage } from '../schemas/objects.ts';
import { batchReport } from '../schemas/report.ts';
import { knownBodyOf, nameIgnored, refuseForms, type Http } from './bodies.ts';

/** What answers the longer questions about batches. */
type BatchServices = {
  readonly dryRuns: DryRuns;
  readonly events: BatchEvents;
  readonly queues: Queues;
  readonly previews: Previews;
};

const IDEMPOTENT = ['Idempotency-Key'] as const;
const NAMES_IGNORED = { [IGNORED_HEADER]: 'The keys of the body that are not known and were ignored.' } as const;
/** An inline input, and the rest of the body. */
const MAX_CREATE_BYTES = LIMITS.inlineRequestsBytes + LIMITS.requestBodyBytes;

export function batchRoutes(
  sources: BatchPlaces,
  { dryRuns, events, queues, previews }: BatchServices,
): readonly Route[] {
  return [
    createRoute(sources, dryRuns),
    ...eventRoutes(events),
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
    ...controlRoutes({ ...sources, queues }),
    ...batchesOfOthers(sources, previews),
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

/** What one wants of a batch in work. */
function controlRoutes(sources: BatchPlaces & { readonly queues: Queues }): readonly Route[] {
  const pausing = [
    ['pause', 'Pause a batch: nothing more of it is asked, and its window runs on', true],
    ['resume', 'Have a paused batch go on', false],
  ] as const;
  return [
    ...pausing.map(([way, summary, paused]) =>
      jsonRoute({
        method: 'POST',
        url: `/batches/:id/${way}`,
        summary,
        output: batchObject,
        errors: [409],
        answer: ({ tenant, id }) => controlBatch(sources, tenant, { id, wish: { paused } }),
      }),
    ),
    jsonRoute({
      method: 'POST',
      url: '/batches/:id/priority',
      summary: 'Have a batch go before the others of its tenant, or no more',
      body: { type: 'application/json', schema: priorityBody },
      output: batchObject,
      answerHeaders: NAMES_IGNORED,
      errors: [408, 409, 413, 415],
      answer: ({ tenant, id, ...http }) =>
        controlBatch(sources, tenant, { id, wish: readPriority(knownBodyOf(http, PRIORITY_KEYS)) }),
    }),
  ];
}

const batchEvents = z
  .string()
  .meta({ description: 'Events named `batch`; the data of each is a batch object. A stream ends after ten minutes.' });

/** What one sees change, without asking again and again. */
function eventRoutes(events: BatchEvents): readonly Route[] {
  const output = { type: 'text/event-stream', schema: batchEvents };
  return [
    streamRoute({
      method: 'GET',
      url: '/batches/events',
      summary: 'The newest batches as server-sent events: all of them, then whichever changed, at most once a second',
      output,
      errors: [429],
      answer: ({ tenant, reply }) => events.ofTenant(tenant, reply),
    }),
    streamRoute({
      method: 'GET',
      url: '/batches/:id/events',
      summary: 'A batch as server-sent events, whenever it changed, at most once a second',
      output,
      errors: [429],
      answer: ({ tenant, id, reply }) => events.ofBatch(tenant, id, reply),
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
function batchesOfOthers(sources: BatchPlaces, previews: Previews): readonly Route[] {
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
      answer: ({ caller, id, query, ...http }) => {
        refuseMisspelt(http.request.query as object, redecideQuery, { key: 'preview', elsewhere: ['dry_run'] });
        const body = knownBodyOf(http, REDECIDE_KEYS);
        const preview = query.preview === 'true' ? { previews, reply: http.reply } : null;
        return redecideBatch(sources, caller, { id, body, preview });
      },
    }),
  ];
}

/** What a dry run beside it may take longer for, a create may not. */
async function inTime<Answer>(work: Promise<Answer>): Promise<Answer> {
  try {
    return await within(MAX_ANSWER_MS, work);
  } catch (error) {
    throw error instanceof LateError ? tookTooLong() : error;
  }
}

async function createBodyOf({ request, reply }: Http): Promise<CreateBody> {
  refuseForms(request);
  const given = await readCreateBody(request.body as string | undefined);
  nameIgnored(reply, given.body, ORDER_KEYS);
  return given;
}
