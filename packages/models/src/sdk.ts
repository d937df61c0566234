import { OpenAI, type ClientOptions } from 'openai';
import { HttpError } from './fault.ts';
import type { Sent, Target, Transport } from './transport.ts';

type Built = Awaited<ReturnType<OpenAI['buildRequest']>>;

/** A request as the SDK makes it, but for what is a call's own. */
type Made = Built & { readonly target: Target };

/** What of a call goes past the SDK. */
type Beside = Pick<Sent, 'signal' | 'traceparent' | 'onChunk'>;

/** What the SDK passes on: the options of a `fetch` go through it as they are. */
type Passed = { readonly target: Target; readonly body: string; readonly beside: Beside };

/**
 * The official SDK. Used of it are the URL and the head of a request (`buildRequest`), the way of a call (`post`: no
 * retries, no log, what of an answer is an error and what is an error's body), and its classes of errors. Around it goes
 * what it would do anew for every call though nothing of it changes, and what is done elsewhere:
 *
 * - A request is made once for each path. A call's own are only its body, which is a text already, and its trace. The SDK
 *   builds four `Headers` and parses a URL for each request: five sixths of what it takes.
 * - The signal and the deadline go to the transport, beside the SDK, which would join the caller's signal with one of its
 *   own by two more abort objects a call.
 * - `fetch`, `Response`, and the reading of JSON and of events: the transport reads a body whole, with limits, or gives
 *   away its pieces as they come. On a real `fetch` a call takes three times as long as on the leanest.
 *
 * Without a network that is 9 µs a call instead of 60 to 100 (a busy machine). What is overridden is public or protected
 * by the SDK's types, so a version without it does not compile; test/models/sdk.test.ts holds what else is relied on.
 *
 * The API key is the transport's alone: here stands a word for it.
 */
export class Sdk extends OpenAI {
  readonly #transport: Transport;
  readonly #made = new Map<string, Promise<Made>>();

  constructor(baseURL: string, transport: Transport) {
    super({ ...SETTINGS, baseURL });
    this.#transport = transport;
  }

  /** Posts a text of JSON. Throws what the SDK throws, `HttpError` among it. */
  async send(path: string, { body, timeoutMs, ...beside }: Sent): Promise<Response> {
    const fetchOptions: object = { beside };
    return await this.post(path, { body, timeout: timeoutMs, fetchOptions }).asResponse();
  }

  /** Only the body and what goes past the SDK are of the call; the rest is made by the SDK, once for each path. */
  override async buildRequest(options: Parameters<OpenAI['buildRequest']>[0]): Promise<Built> {
    const { path, body, timeout, fetchOptions } = options;
    let made = this.#made.get(path);
    if (made === undefined) {
      made = this.#make(path);
      this.#made.set(path, made);
    }
    const { target, req, url, timeout: usual } = await made;
    const passed: object = { target, body, ...fetchOptions };
    return { req: { ...req, ...passed }, url, timeout: timeout ?? usual };
  }

  async #make(path: string): Promise<Made> {
    const built = await super.buildRequest({ method: 'post', path, body: {} });
    return { ...built, target: this.#transport.targetOf('POST', built.url, built.req.headers) };
  }

  /** In place of the SDK's timer, signals and `fetch`; it asks for no more of a `Response` than the answer has. */
  override async fetchWithTimeout(_url: unknown, init: RequestInit | undefined, timeoutMs: number): Promise<Response> {
    const { target, body, beside } = init as unknown as Passed;
    const answer = await this.#transport.send(target, { ...beside, body, timeoutMs });
    return answer as unknown as Response;
  }

  /** An error keeps its body as it is. */
  protected override makeStatusError(status: number, error: unknown, message: string | undefined, headers: Headers) {
    return new HttpError(status, error ?? message ?? '', headers);
  }
}

const SETTINGS: ClientOptions = {
  maxRetries: 0,
  logLevel: 'off',
  /** The SDK wants one and would look into the environment; the transport sends the real one. */
  apiKey: 'in-transport',
  adminAPIKey: null,
  organization: null,
  project: null,
  webhookSecret: null,
};
