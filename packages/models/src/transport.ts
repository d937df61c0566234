import { Pool } from 'undici';
import { Exchange, type Asked } from './exchange.ts';
import type { WholeAnswer } from './whole-answer.ts';

/** Where a request goes and what stands at its head: the same for every call of one kind, so it is made once. */
export type Target = {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
};

/** What is a call's own. */
export type Sent = Asked & {
  readonly traceparent?: string;
  /** Ends the call at any moment until its body has been read, as the time does. */
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
};

/** The address of a path below a model's base URL, whose query stays: as the SDK makes those of its calls. */
export function addressBelow(baseURL: string, path: string): string {
  const url = new URL(baseURL);
  url.pathname = `${url.pathname.replace(/\/$/, '')}${path}`;
  return url.href;
}

export type Transport = AsyncDisposable & {
  /** Of the headers go those that are of use to a model server: the SDK's environment may add others. */
  targetOf(method: Target['method'], url: string, headers: Headers): Target;
  /**
   * The whole answer is read before this resolves, so that the deadline covers the body too. An answer whose pieces were
   * taken by `onChunk` has no text of its own; an error's body always has.
   */
  send(target: Target, sent: Sent): Promise<WholeAnswer>;
};

/**
 * A host that does not even answer a SYN, or never ends its TLS handshake; far above any round trip. Never more than
 * half of a call's time, so that a host that is gone is found out as such before the call's own deadline.
 */
const CONNECT_TIMEOUT_MS = 10_000;

/** Below the 5 s after which uvicorn (vLLM, SGLang), node and llama.cpp close a silent connection under us. */
const KEEP_ALIVE_MS = 4_000;

const SENT_HEADERS = ['accept', 'content-type'] as const;

/**
 * Keep-alive connections to one model server. The key is put on here, so the SDK, its errors and its log never hold
 * it. undici's own time-outs are off: the deadline is the caller's, also for a half-open connection.
 */
export function openTransport(options: {
  readonly origin: string;
  readonly apiKey: string | null;
  readonly connections: number;
  readonly timeoutMs: number;
  /** Who calls, where it is not about documents. */
  readonly userAgent?: string;
}): Transport {
  const pool = new Pool(options.origin, {
    /** One more than the tier uses at a time, so that a question for health never waits behind documents. */
    connections: options.connections + 1,
    pipelining: 1,
    allowH2: false,
    headersTimeout: 0,
    bodyTimeout: 0,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connect: { timeout: Math.max(1, Math.min(CONNECT_TIMEOUT_MS, options.timeoutMs / 2)) },
  });
  const fixed = {
    ...(options.apiKey === null ? {} : { authorization: `Bearer ${options.apiKey}` }),
    'user-agent': options.userAgent ?? 'spillway',
  };
  return {
    targetOf: (method, url, headers) => {
      const { pathname, search } = new URL(url);
      const travelling = SENT_HEADERS.flatMap((name) => {
        const value = headers.get(name);
        return value === null ? [] : [[name, value] as const];
      });
      return { method, path: pathname + search, headers: { ...Object.fromEntries(travelling), ...fixed } };
    },
    send: ({ method, path, headers }, sent) => {
      const { promise, ...settled } = Promise.withResolvers<WholeAnswer>();
      const { body, traceparent } = sent;
      const exchange = new Exchange(settled, sent);
      exchange.limit(sent.signal, sent.timeoutMs);
      const head = traceparent === undefined ? headers : { ...headers, traceparent };
      pool.dispatch({ path, method, headers: head, body: body ?? null }, exchange);
      return promise;
    },
    [Symbol.asyncDispose]: () => pool.destroy(),
  };
}
