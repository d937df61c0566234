import type { FastifyReply, FastifyRequest } from 'fastify';
import type { z } from 'zod';
import type { Caller } from './auth.ts';
import { read } from './schemas/read.ts';

/** What a route is asked. */
export type Asked<Query = undefined> = {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly caller: Caller;
  readonly tenant: string;
  readonly id: string;
  readonly query: Query;
  readonly idempotencyKey: string | null;
};

/** What a route takes and answers: the schemas that check requests are the ones that `/openapi.json` shows. */
export type RouteSpec = {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly url: string;
  readonly summary: string;
  readonly query?: z.ZodObject | undefined;
  /** The body's type and form; the handler reads it. */
  readonly body?: { readonly type: string; readonly schema: z.ZodType; readonly required?: false };
  /** Bytes that a body may have, where they are not the usual. */
  readonly bodyBytes?: number;
  /** The handler gets the text of a JSON body, and reads it itself. */
  readonly takesText?: true;
  readonly headers?: readonly string[];
  readonly output: { readonly type: string; readonly schema: z.ZodType };
  /** What the answer may be in place of `output`, by its content type. */
  readonly also?: readonly { readonly type: string; readonly schema: z.ZodType }[];
  /** Headers of the answer, and what they say. */
  readonly answerHeaders?: Readonly<Record<string, string>>;
  /** Whether a range of the bytes can be asked for, and is answered with 206. */
  readonly isPartial?: true;
  /** Besides 400, 401, 404 where there is an id, and 503. */
  readonly errors?: readonly number[];
  /** Null: as long as bytes flow. */
  readonly limitMs: number | null;
};

export type Route = RouteSpec & { readonly answer: (asked: Asked<unknown>) => unknown };

/** A request is answered within this, unless it carries a file. */
export const MAX_ANSWER_MS = 30_000;

type Json<Query extends z.ZodObject | undefined, Output extends z.ZodType> = Omit<
  RouteSpec,
  'query' | 'output' | 'limitMs'
> & {
  readonly query?: Query;
  readonly output: Output;
  readonly limitMs?: number | null;
  readonly answer: (
    asked: Asked<Query extends z.ZodObject ? z.output<Query> : undefined>,
  ) => z.input<Output> | Promise<z.input<Output>>;
};

/** A route that answers JSON of this form: the compiler checks that it does. */
export function jsonRoute<Output extends z.ZodType, Query extends z.ZodObject | undefined = undefined>(
  spec: Json<Query, Output>,
): Route {
  const { output, limitMs = MAX_ANSWER_MS, answer, ...rest } = spec;
  return {
    ...rest,
    limitMs,
    output: { type: 'application/json', schema: output },
    answer: withQuery(spec.query, answer as (asked: Asked<unknown>) => unknown),
  };
}

/** A route that sends a stream, or whatever else its handler makes; the compiler does not check it. */
export function streamRoute<Query extends z.ZodObject | undefined = undefined>(
  spec: Omit<RouteSpec, 'query' | 'limitMs'> & {
    readonly query?: Query;
    readonly answer: (asked: Asked<Query extends z.ZodObject ? z.output<Query> : undefined>) => unknown;
  },
): Route {
  return { ...spec, limitMs: null, answer: withQuery(spec.query, spec.answer as (asked: Asked<unknown>) => unknown) };
}

function withQuery(query: z.ZodObject | undefined, answer: Route['answer']): Route['answer'] {
  if (query === undefined) return answer;
  return (asked) => answer({ ...asked, query: read(query, asked.request.query) });
}
