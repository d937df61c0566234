/** What goes wrong for a user: one line that says what, and what to do. */
export class UserError extends Error {
  override readonly name = 'UserError';
}

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
    const headers = this.#key === null ? {} : { authorization: `Bearer ${this.#key}` };
    let response: Response;
    try {
      response = await fetch(`${this.#url}/v1${path}`, { headers });
    } catch (error) {
      throw new UserError(`Nothing answers at ${this.#url}: start it (npm start) or set SPILLWAY_URL`, {
        cause: error,
      });
    }
    const body = (await response.json().catch(() => null)) as { error?: { message?: string } } | null;
    if (response.ok) return body;
    throw new UserError(body?.error?.message ?? `${this.#url} answered ${response.status}`);
  }
}
