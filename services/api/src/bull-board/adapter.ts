import { readdir, readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import type {
  AppControllerRoute,
  AppViewRoute,
  BullBoardQueues,
  IServerAdapter,
  UIConfig,
} from '@bull-board/api/typings/app';
import type { FastifyInstance } from 'fastify';

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.ico': 'image/x-icon',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
};

/** What its page has from elsewhere: a font of Google's. */
const FROM_ELSEWHERE = /<link href="https:[^">]*"[^>]*>/g;

/** A place in its page for one of its values: `<%= escaped %>`, or `<%- as it is %>`. */
const VALUE = /<%([=-]) (\w+) %>/g;

type ErrorHandler = Parameters<IServerAdapter['setErrorHandler']>[0];

/**
 * What bull-board is served by: of its routes only those that read. Its adapter for Fastify would bring a template engine
 * and a file server, some twenty packages, for a page with five values in it.
 */
export class ReadingAdapter implements IServerAdapter {
  readonly #basePath: string;
  #queues: BullBoardQueues = new Map();
  #viewPath = '';
  #staticPath = { route: '', path: '' };
  #entry: AppViewRoute | null = null;
  #apiRoutes: AppControllerRoute[] = [];
  #uiConfig: UIConfig = {};
  #onError: ErrorHandler | null = null;

  constructor(basePath: string) {
    this.#basePath = basePath;
  }

  setQueues(queues: BullBoardQueues): this {
    this.#queues = queues;
    return this;
  }

  setViewsPath(path: string): this {
    this.#viewPath = path;
    return this;
  }

  setStaticPath(route: string, path: string): this {
    this.#staticPath = { route, path };
    return this;
  }

  setEntryRoute(route: AppViewRoute): this {
    this.#entry = route;
    return this;
  }

  setErrorHandler(handler: ErrorHandler): this {
    this.#onError = handler;
    return this;
  }

  setApiRoutes(routes: AppControllerRoute[]): this {
    this.#apiRoutes = routes;
    return this;
  }

  setUIConfig(config: UIConfig = {}): this {
    this.#uiConfig = config;
    return this;
  }

  /** Adds its page, its files and what it asks for. */
  async register(scope: FastifyInstance): Promise<void> {
    const [entry, onError] = [this.#entry, this.#onError];
    if (entry === null || onError === null) throw new Error('createBullBoard was not called');
    scope.setErrorHandler<Error>((error, _request, reply) => {
      const { status = 500, body } = onError(error);
      return reply.code(status).send(body);
    });
    for (const url of [entry.route].flat()) {
      scope.get(url, async (_request, reply) => {
        const { name, params } = entry.handler({ basePath: this.#basePath, uiConfig: this.#uiConfig });
        const template = await readFile(join(this.#viewPath, name), 'utf8');
        reply.type('text/html; charset=utf-8');
        return filled(template.replaceAll(FROM_ELSEWHERE, ''), params);
      });
    }
    for (const own of this.#apiRoutes) {
      if (![own.method].flat().includes('get')) continue;
      for (const url of [own.route].flat()) {
        scope.get(url, async ({ params, query, headers }, reply) => {
          const asked = {
            queues: this.#queues,
            uiConfig: this.#uiConfig,
            params: params as Record<string, unknown>,
            query: withinBounds(query as Record<string, unknown>),
            body: {},
            headers: headers as Record<string, string | undefined>,
          };
          const { status = 200, body } = await own.handler(asked);
          return reply.code(status).send(body);
        });
      }
    }
    await this.#serveFiles(scope);
  }

  async #serveFiles(scope: FastifyInstance): Promise<void> {
    const { route, path } = this.#staticPath;
    const found = await readdir(path, { recursive: true, withFileTypes: true });
    for (const file of found.filter((one) => one.isFile())) {
      const place = join(file.parentPath, file.name);
      const type = TYPES[extname(file.name)];
      if (type === undefined) continue;
      scope.get(`${route}${place.slice(path.length)}`, async (_request, reply) => {
        reply.type(type);
        return await readFile(place);
      });
    }
  }
}

/** Jobs have whole documents in them: a page shows some. */
const MAX_JOBS = 50;
const withinBounds = (query: Record<string, unknown>): Record<string, unknown> =>
  query['jobsPerPage'] === undefined
    ? query
    : { ...query, jobsPerPage: String(Math.min(MAX_JOBS, Math.max(1, Number(query['jobsPerPage']) || 1))) };

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&#34;' };

const filled = (template: string, values: Readonly<Record<string, string>>): string =>
  template.replaceAll(VALUE, (_, kind: string, name: string) => {
    const value = values[name] ?? '';
    return kind === '-' ? value : value.replaceAll(/[&<>"]/g, (character) => ESCAPES[character] ?? '');
  });
