/** What goes wrong for a user: one line that says what, and what to do. */
export class UserError extends Error {
  override readonly name = 'UserError';
}

/** How a route is called; without a body it is a GET. */
type Call = { readonly method?: 'POST'; readonly headers?: Readonly<Record<string, string>>; readonly body?: string };

/** Asks a Spillway API. */
export class ApiClient {
  readonly #url: string;
  readonly #key: string | null;

  /** SPILLWAY_URL is its address, SPILLWAY_API_KEY the key. */
  constructor(env: Readonly<Record<string, string | undefined>>) {
    this.#url = (env['SPILLWAY_URL'] || 'http://127.0.0.1:8080').replace(/\/(v1\/?)?$/, '');
    this.#key = env['SPILLWAY_API_KEY'] || null;
  }

  /** The JSON of a GET. */
  async get(path: string): Promise<unknown> {
    return await this.#ask(path, {});
  }

  /** The JSON that a POST of JSON is answered with. */
  async post(path: string, body: unknown): Promise<unknown> {
    const headers = { 'content-type': 'application/json' };
    return await this.#ask(path, { method: 'POST', headers, body: JSON.stringify(body) });
  }

  /** A file's text, in pieces. */
  async text(path: string): Promise<AsyncIterable<Uint8Array>> {
    const response = await this.#send(path, {});
    if (response.body === null) throw new UserError(`${path} is empty`);
    return response.body;
  }

  async #ask(path: string, init: Call): Promise<unknown> {
    return await (await this.#send(path, init)).json();
  }

  async #send(path: string, init: Call): Promise<Response> {
    const own = this.#key === null ? {} : { authorization: `Bearer ${this.#key}` };
    let response: Response;
    try {
      response = await fetch(`${this.#url}/v1${path}`, { ...init, headers: { ...own, ...init.headers } });
    } catch (error) {
      throw new UserError(`Nothing answers at ${this.#url}: start it (npm start) or set SPILLWAY_URL`, {
        cause: error,
      });
    }
    if (response.ok) return response;
    const body = (await response.json().catch(() => null)) as { error?: { message?: string } } | null;
    throw new UserError(body?.error?.message ?? `${this.#url} answered ${response.status}`);
  }
}
