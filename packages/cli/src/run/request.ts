import { hash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { ENDPOINT_URLS, type JsonObject } from '@spillway/core';
import { parsePrompt, renderPrompt, type Prompt } from '@spillway/core/prompt';
import { UserError } from '../client.ts';
import type { Found } from '../documents/found.ts';
import { EXIT } from '../exit-codes.ts';
import type { RunOptions } from './options.ts';
import { checkPrompt, plainPrompt } from './prompt.ts';
import { readSchema, readText } from './schema.ts';

const CHAT = '/v1/chat/completions';

/** What is asked about one document. */
export type Request = { readonly url: string; readonly body: JsonObject };

/** The text that an option names: a file's, or itself where it is no name of a file. */
function textOf(option: string, given: string): string {
  if (existsSync(given)) return readText(given, option);
  if (/[\s{]/.test(given)) return given;
  throw new UserError(`${option}: there is no file ${given}, and a text has a space or a {{placeholder}} in it`, {
    exitCode: EXIT.usage,
  });
}

/** Makes requests of documents: the prompt, filled in, to the cascade. */
export class RequestMaker {
  readonly #cascade: string;
  readonly #prompt: Prompt | null;
  /** Where no prompt was given, by the columns that it was made for. */
  readonly #plain = new Map<string, Prompt>();
  readonly #system: string | null;
  readonly #more: JsonObject;
  /** Columns that were seen in rows of the same source, as JSON lines may leave some out. */
  readonly #seen = new Set<string>();
  #source: string | null = null;

  constructor(cascade: string, options: RunOptions) {
    const { prompt, system, schema, temperature, maxTokens } = options;
    this.#cascade = cascade;
    this.#prompt = prompt === null ? null : parsePrompt(textOf('--prompt', prompt));
    if (this.#prompt?.names.length === 0)
      throw new UserError(
        '--prompt names no column, so that every document would be asked about alike: put {{text}} into it',
        {
          exitCode: EXIT.usage,
        },
      );
    this.#system = system === null ? null : textOf('--system', system);
    this.#more = {
      ...(schema === null ? {} : { response_format: { type: 'json_schema', json_schema: { ...readSchema(schema) } } }),
      ...(temperature === null ? {} : { temperature }),
      ...(maxTokens === null ? {} : { max_tokens: maxTokens }),
    };
  }

  requestOf(found: Extract<Found, { kind: 'document' | 'request' }>, source: string): Request {
    if (source !== this.#source) this.#seen.clear();
    this.#source = source;
    if (found.kind === 'request') return this.#asItIs(found);
    const prompt = this.#promptFor(found);
    const system = this.#system === null ? [] : [{ role: 'system', content: this.#system }];
    const messages = [...system, { role: 'user', content: renderPrompt(prompt, found.values) }];
    return { url: CHAT, body: { model: this.#cascade, messages, ...this.#more } };
  }

  /** A line that is a request already: only its cascade is ours to say. */
  #asItIs({ id, url, body }: Extract<Found, { kind: 'request' }>): Request {
    if (this.#prompt !== null || this.#system !== null || Object.keys(this.#more).length > 0)
      throw new UserError(`${id} is a request already: --prompt, --system, --schema and the like are for documents`, {
        exitCode: EXIT.usage,
      });
    if (!ENDPOINT_URLS.some((one) => one === url)) throw new UserError(`${id} asks ${url}, which no batch does`);
    return { url, body: { ...body, model: this.#cascade } };
  }

  #promptFor({ id, values }: Extract<Found, { kind: 'document' }>): Prompt {
    const columns = Object.keys(values);
    for (const column of columns) this.#seen.add(column);
    if (this.#prompt !== null) {
      checkPrompt(this.#prompt, [...this.#seen], id);
      return this.#prompt;
    }
    const key = JSON.stringify(columns);
    const known = this.#plain.get(key) ?? plainPrompt(columns, id);
    this.#plain.set(key, known);
    return known;
  }
}

/** What stands for a request: the same one has the same answer. */
export const digestOf = ({ url, body }: Request): string =>
  hash('sha256', `${url}\n${JSON.stringify(body)}`, 'base64url').slice(0, 22);
