import type { BatchObject, ResultLine } from '@spillway/core';

/** What the API refused, by its own words. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly status: number;
  readonly code: string | null;

  constructor(status: number, message: string, code: string | null) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** What went wrong, for people. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Nobody answered. */
class Unreachable extends Error {
  override readonly name = 'Unreachable';
}

type Envelope = { readonly error?: { readonly message?: string; readonly code?: string | null } };

const refusalOf = (status: number, { error = {} }: Envelope): Refusal =>
  new Refusal(status, error.message ?? `The service answered ${status}.`, error.code ?? null);

/** How far a search is. */
type Progress = {
  readonly searched: number;
  readonly of: number;
  readonly found: number;
  readonly cursor?: string | null;
  readonly has_more?: boolean;
};

export type Searched =
  | { readonly kind: 'result'; readonly line: ResultLine }
  | ({ readonly kind: 'searched' | 'end' } & Progress);

/** Refusals that asking again changes nothing of. */
const FINAL: ReadonlySet<number> = new Set([400, 401, 403, 404]);

/** Where a stream of events that ended is asked for again. */
const AGAIN_MS = 2_000;

/** The API, as a client with a key sees it; without a key where the service asks for none. */
export class Api {
  readonly #key: string | null;
  readonly #onUnauthorized: () => void;

  constructor(key: string | null, onUnauthorized: () => void) {
    this.#key = key;
    this.#onUnauthorized = onUnauthorized;
  }

  async get<Answer>(path: string, signal?: AbortSignal): Promise<Answer> {
    return (await (await this.#ask(path, signal === undefined ? {} : { signal })).json()) as Answer;
  }

  async post<Answer>(path: string, body: object = {}, more: Readonly<Record<string, string>> = {}): Promise<Answer> {
    const headers = { 'content-type': 'application/json', ...more };
    const answer = await this.#ask(path, { method: 'POST', headers, body: JSON.stringify(body) });
    return (await answer.json()) as Answer;
  }

  async upload<Answer>(path: string, form: FormData): Promise<Answer> {
    return (await (await this.#ask(path, { method: 'POST', body: form })).json()) as Answer;
  }

  async remove(path: string): Promise<void> {
    await this.#ask(path, { method: 'DELETE' });
  }

  /** The bytes of a file, which may be more than a text can be long. */
  async blob(path: string): Promise<Blob> {
    return await (await this.#ask(path, {})).blob();
  }

  /**
   * Batches, or what else there are events of, as they change, for as long as the signal lets it. A page that nobody sees asks for nothing: browsers keep
   * few connections to a server, and a hundred tabs would take them all.
   */
  async *events<Shown = BatchObject>(path: string, signal: AbortSignal, name = 'batch'): AsyncGenerator<Shown> {
    while (!signal.aborted) {
      await whenSeen(signal);
      const hidden = whileSeen(signal);
      try {
        const answer = await this.#ask(path, { signal: hidden });
        for await (const { event, data } of eventsIn(answer)) if (event === name) yield data as Shown;
      } catch (error) {
        if (error instanceof Refusal && FINAL.has(error.status)) throw error;
      }
      if (!signal.aborted) await pause(AGAIN_MS);
    }
  }

  /** What a search finds, and how far it is, as it goes. */
  async *search(batch: string, query: URLSearchParams, signal: AbortSignal): AsyncGenerator<Searched> {
    const answer = await this.#ask(`/batches/${encodeURIComponent(batch)}/search?${query.toString()}`, { signal });
    for await (const { event, data } of eventsIn(answer)) {
      if (event === 'result') yield { kind: 'result', line: data as ResultLine };
      else if (event === 'searched' || event === 'end') yield { kind: event, ...(data as Progress) };
      else if (event === 'error') throw refusalOf(503, data as Envelope);
    }
  }

  async #ask(path: string, init: RequestInit): Promise<Response> {
    const headers = new Headers(init.headers);
    if (this.#key !== null) headers.set('authorization', `Bearer ${this.#key}`);
    let answer: Response;
    try {
      answer = await fetch(`/v1${path}`, { ...init, headers });
    } catch (error) {
      if (init.signal?.aborted === true) throw error;
      throw new Unreachable('The service does not answer.', { cause: error });
    }
    if (answer.ok) return answer;
    if (answer.status === 401) this.#onUnauthorized();
    throw refusalOf(answer.status, (await answer.json().catch(() => ({}))) as Envelope);
  }
}

/** One of a stream of server-sent events. */
type ServerEvent = { readonly event: string; readonly data: unknown };

async function* eventsIn(answer: Response): AsyncGenerator<ServerEvent> {
  let text = '';
  const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { value, done } = (await reader?.read()) ?? { value: undefined, done: true };
    if (done || value === undefined) return;
    text += value;
    const events = text.split('\n\n');
    text = events.pop() ?? '';
    for (const event of events) {
      const [, name = '', data = ''] = /^(?:id: .*\n)?event: (\S+)\ndata: ([^]*)$/.exec(event) ?? [];
      if (name !== '') yield { event: name, data: JSON.parse(data) };
    }
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const isSeen = (): boolean => document.visibilityState === 'visible';

/** Until somebody sees the page. */
async function whenSeen(signal: AbortSignal): Promise<void> {
  while (!isSeen() && !signal.aborted) {
    await new Promise<void>((resolve) => {
      document.addEventListener('visibilitychange', () => resolve(), { once: true, signal });
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
  }
}

/** Aborted once nobody sees the page any more. */
function whileSeen(signal: AbortSignal): AbortSignal {
  const hidden = new AbortController();
  const look = (): void => {
    if (!isSeen()) hidden.abort();
  };
  document.addEventListener('visibilitychange', look, { signal });
  return AbortSignal.any([signal, hidden.signal]);
}
