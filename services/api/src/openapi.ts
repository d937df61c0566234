import { z } from 'zod';
import { VERSION } from '@spillway/runtime';
import type { Route } from './route.ts';
import { errorEnvelope } from './schemas/objects.ts';

type Schema = Readonly<Record<string, unknown>>;

const REASONS: Readonly<Record<number, string>> = {
  400: 'Something about the request is wrong; the message says what.',
  401: 'No key, or one that is not known.',
  404: 'There is none, or it is not yours.',
  408: 'The body did not come in time.',
  409: 'It does not go together with what is there.',
  413: 'The body is too large.',
  415: 'The body is of another type.',
  416: 'The range lies beyond the end.',
  429: 'A limit of your tenant is reached: come again after Retry-After.',
  502: 'The models failed.',
  503: 'The service cannot do it now: come again after Retry-After.',
  504: 'No answer came in time.',
};

/** `/openapi.json`: the routes, in the schemas that check requests and that type the answers. */
export function openApiOf(routes: readonly Route[]): Schema {
  const components = new Components();
  const error = components.refer(errorEnvelope, 'output');
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of routes) {
    const path = `/v1${route.url.replaceAll(/:(\w+)/g, '{$1}')}`;
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operationOf(route, components, error) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Spillway',
      version: VERSION,
      description: 'LLM cascades over bulk documents: the OpenAI Files and Batches API, and what is ours beside it.',
    },
    paths,
    components: {
      schemas: components.schemas,
      securitySchemes: { key: { type: 'http', scheme: 'bearer' } },
    },
    security: [{ key: [] }],
  };
}

function operationOf(route: Route, components: Components, error: Schema): Schema {
  const { method, url, summary, query, body, headers = [], errors = [] } = route;
  const statuses = [400, 401, ...(url.includes(':id') ? [404] : []), ...errors, 503].toSorted((a, b) => a - b);
  const failures = statuses.map((status) => [
    String(status),
    { description: REASONS[status] ?? '', content: { 'application/json': { schema: error } } },
  ]);
  const parameters = [
    ...url.matchAll(/:(\w+)/g).map(([, name]) => ({ name, in: 'path', required: true, schema: { type: 'string' } })),
    ...headers.map((name) => ({ name, in: 'header', schema: { type: 'string' } })),
    ...queryOf(query, components),
  ];
  return {
    operationId: `${method.toLowerCase()}${url.replaceAll(/[/:_]+(\w)/g, (_, letter: string) => letter.toUpperCase())}`,
    summary,
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined
      ? {}
      : {
          requestBody: {
            required: body.required !== false,
            content: { [body.type]: { schema: components.refer(body.schema, 'input') } },
          },
        }),
    responses: { ...successesOf(route, components), ...Object.fromEntries(failures) },
  };
}

/** What a route answers when all went well: 200, and 206 where a range of the bytes can be asked for. */
function successesOf({ output, also = [], answerHeaders = {}, isPartial }: Route, components: Components): Schema {
  const content = Object.fromEntries(
    [output, ...also].map(({ type, schema }) => [type, { schema: components.refer(schema, 'output') }]),
  );
  const headers = headersOf(answerHeaders);
  const whole = { description: 'Success.', ...headers, content };
  if (isPartial !== true) return { 200: whole };
  const range = headersOf({ ...answerHeaders, 'content-range': 'Which bytes of how many these are.' });
  return { 200: whole, 206: { description: 'The bytes of the range that was asked for.', ...range, content } };
}

function headersOf(described: Readonly<Record<string, string>>): Schema {
  const entries = Object.entries(described);
  if (entries.length === 0) return {};
  return {
    headers: Object.fromEntries(
      entries.map(([name, description]) => [name, { description, schema: { type: 'string' } }]),
    ),
  };
}

function queryOf(query: z.ZodObject | undefined, components: Components): Schema[] {
  return Object.entries(query?.shape ?? {}).map(([name, schema]) => ({
    name,
    in: 'query',
    schema: components.refer(schema as z.ZodType, 'input'),
  }));
}

/** Schemas that have an id stand once, under `components`. */
class Components {
  readonly schemas: Record<string, Schema> = {};

  /** The schema of what is sent (`input`) or answered (`output`), as a reference where it has an id. */
  refer(schema: z.ZodType, io: 'input' | 'output'): Schema {
    const {
      $schema: _dialect,
      $defs,
      ...own
    } = z.toJSONSchema(schema, { io, target: 'draft-2020-12' }) as Schema & {
      readonly $defs?: Readonly<Record<string, Schema>>;
    };
    for (const [id, definition] of Object.entries($defs ?? {})) {
      const { id: _own, ...rest } = relocated(definition);
      this.schemas[id] = rest;
    }
    const { id, ...rest } = relocated(own);
    if (typeof id !== 'string') return rest;
    this.schemas[id] = rest;
    return { $ref: `#/components/schemas/${id}` };
  }
}

/** References from where JSON Schema keeps definitions to where OpenAPI does. */
function relocated(schema: Schema): Schema {
  const text = JSON.stringify(schema).replaceAll('"#/$defs/', '"#/components/schemas/');
  return JSON.parse(text) as Schema;
}
