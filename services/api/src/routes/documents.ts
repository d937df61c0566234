import type { Records } from '@spillway/storage';
import { z } from 'zod';
import {
  createReview,
  listReviews,
  REVIEW_KEYS,
  reviewBody,
  reviewObject,
  reviewsPage,
  reviewsQuery,
} from '../documents/reviews.ts';
import type { LineSources } from '../documents/known-lines.ts';
import { searchQuery, type Searches } from '../documents/search.ts';
import { documentQuery, showDocument, shownDocument } from '../documents/show-document.ts';
import { IGNORED_HEADER } from '../ignored-keys.ts';
import { jsonRoute, streamRoute, type Route } from '../route.ts';
import { knownBodyOf } from './bodies.ts';

type DocumentSources = LineSources & { readonly records: Records; readonly jaegerUrl: string | null };

const searchEvents = z.string().meta({
  description:
    'Events: `result`, whose data is a result line and whose id is a cursor that goes on behind it; now and then `searched` ' +
    '(how many documents were looked at, of how many, and what was found); `end`, the same with `cursor`, `has_more` and ' +
    '`complete`; `error`, whose data is an error as any other.',
});

/** The routes about single documents of a batch. */
export function documentRoutes(sources: DocumentSources, searches: Searches): readonly Route[] {
  return [
    streamRoute({
      method: 'GET',
      url: '/batches/:id/search',
      summary: 'Search the results of a batch, of open pages as well; what is found comes as server-sent events',
      query: searchQuery,
      output: { type: 'text/event-stream', schema: searchEvents },
      errors: [429],
      answer: ({ tenant, id, query, reply }) => searches.search(tenant, { id, query, reply }),
    }),
    streamRoute({
      method: 'GET',
      url: '/batches/:id/document',
      summary: 'Show one document: its request, its result, what somebody said of it',
      query: documentQuery,
      output: { type: 'application/json', schema: shownDocument },
      answer: ({ tenant, id, query, reply }) => showDocument(sources, tenant, { id, query, reply }),
    }),
    jsonRoute({
      method: 'POST',
      url: '/batches/:id/reviews',
      summary: 'Say of an answer that it is right, or which one is; this is said once for a document',
      body: { type: 'application/json', schema: reviewBody },
      output: reviewObject,
      answerHeaders: { [IGNORED_HEADER]: 'The keys of the body that are not known and were ignored.' },
      errors: [408, 409, 413, 415],
      answer: ({ tenant, id, ...http }) => createReview(sources, tenant, { id, body: knownBodyOf(http, REVIEW_KEYS) }),
    }),
    jsonRoute({
      method: 'GET',
      url: '/batches/:id/reviews',
      summary: 'List what was said of the answers of a batch, in input order',
      query: reviewsQuery,
      output: reviewsPage,
      answer: ({ tenant, id, query }) => listReviews(sources, tenant, { id, query }),
    }),
  ];
}
