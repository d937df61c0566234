import OpenAI, { APIConnectionError, APIError } from 'openai';
import { isJsonObject, parseJson } from '@spillway/core';
import { z } from 'zod';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { sendFile } from './upload.ts';

/** What goes wrong for a user: one line that says what, and what to do. */
export class UserError extends Error {
  override readonly name: string = 'UserError';
  readonly exitCode: ExitCode;

  constructor(message: string, { exitCode = EXIT.failed, ...options }: ErrorOptions & { exitCode?: ExitCode } = {}) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

/** What the API refused, with its status. */
export class Refused extends UserError {
  override readonly name = 'Refused';
  readonly status: number;
  /** The API's word for what is wrong. */
  readonly code: string | null;

  constructor(message: string, { status, code, cause }: { status: number; code: string | null; cause: unknown }) {
    super(message, { cause });
    this.status = status;
    this.code = code;
  }
}

/** Nobody answers, or broke off: asking again may help. */
export class Unreachable extends UserError {
  override readonly name = 'Unreachable';
}

/** Where the API is, without `/v1`, and the key for it; null: it wants none. */
export type Address = { readonly url: string; readonly key: string | null };

type Asked = { readonly headers?: Readonly<Record<string, string>>; readonly signal?: AbortSignal };

/** Asks a Spillway API, through the SDK that its users have as well. */
export class ApiClient {
  /** Of the API, without `/v1`. */
  readonly url: string;
  readonly #key: string | null;
  readonly #sdk: OpenAI;

  constructor({ url, key }: Address) {
    this.url = url;
    this.#key = key;
    this.#sdk = new OpenAI({
      baseURL: `${url}/v1`,
      apiKey: key ?? 'none',
      // Whoever talks to OpenAI as well has these in the environment; they are nothing to this server.
      organization: null,
      project: null,
      logLevel: 'off',
    });
  }

  /** The JSON of a GET. */
  async get(path: string, asked: Asked = {}): Promise<unknown> {
    return await this.#ask(this.#sdk.get(path, asked));
  }

  /** The JSON that a POST of JSON is answered with. */
  async post(path: string, body: unknown, asked: Asked = {}): Promise<unknown> {
    return await this.#ask(this.#sdk.post(path, { ...asked, body }));
  }

  /** A file's bytes, in pieces. */
  async content(fileId: string): Promise<AsyncIterable<Uint8Array>> {
    const response = await this.#ask(this.#sdk.files.content(fileId).asResponse());
    if (response.body === null) throw new UserError(`${fileId} is empty`);
    return response.body;
  }

  /** Uploads a file of requests; its id. */
  async upload(path: string, signal: AbortSignal): Promise<string> {
    const { status, text } = await sendFile({ url: this.url, key: this.#key, path, signal }).catch((error: unknown) => {
      signal.throwIfAborted();
      throw new Unreachable(`Nothing took the upload at ${this.url}: ${(error as Error).message}`, { cause: error });
    });
    const body = parseJson(text);
    const file = z.object({ id: z.string() }).safeParse(body).data;
    if (status < 400 && file !== undefined) return file.id;
    throw this.#refusal(status, isJsonObject(body) ? body['error'] : null, null);
  }

  async remove(fileId: string): Promise<void> {
    await this.#ask(this.#sdk.files.delete(fileId));
  }

  /** What stands outside `/v1`; null where there is no such thing. */
  async outside(path: string): Promise<unknown> {
    const response = await fetch(`${this.url}${path}`).catch(() => null);
    return response?.ok === true ? await response.json().catch(() => null) : null;
  }

  async #ask<T>(answer: Promise<T>): Promise<T> {
    try {
      return await answer;
    } catch (error) {
      throw this.#readable(error);
    }
  }

  #readable(error: unknown): unknown {
    if (error instanceof APIConnectionError) {
      const message = `Nothing answers at ${this.url}: start it (npm start) or set SPILLWAY_URL`;
      return new Unreachable(message, { cause: error });
    }
    if (!(error instanceof APIError) || typeof error.status !== 'number') return error;
    return this.#refusal(error.status, error.error, error);
  }

  #refusal(status: number, said: unknown, cause: unknown): UserError {
    const own = isJsonObject(said) && typeof said['message'] === 'string' ? said['message'] : null;
    const message = own ?? `${this.url} answered ${status}`;
    if (status >= 500) return new Unreachable(message, { cause });
    const code = isJsonObject(said) && typeof said['code'] === 'string' ? said['code'] : null;
    return new Refused(status === 401 ? `${message} Set SPILLWAY_API_KEY.` : message, { status, code, cause });
  }
}
