/** As much of `Headers` as is read of an answer's; a name is asked for in lower case. */
class AnswerHeaders implements Pick<Headers, 'get'> {
  readonly #said: ReadonlyMap<string, string>;

  constructor(said: ReadonlyMap<string, string>) {
    this.#said = said;
  }

  get(name: string): string | null {
    return this.#said.get(name) ?? null;
  }

  entries(): IterableIterator<[string, string]> {
    return this.#said.entries();
  }
}

/**
 * What the SDK and the client read of a `Response` whose body has been read. A real one wraps the text in a web stream
 * that is then read again: with it a call took a third more (test/bench/model-client.ts).
 */
export class WholeAnswer implements Pick<Response, 'status' | 'ok' | 'url' | 'body' | 'text'> {
  readonly status: number;
  readonly headers: AnswerHeaders;
  readonly url = '';
  readonly body = null;
  readonly #text: string;

  constructor(status: number, headers: ReadonlyMap<string, string>, text: string) {
    this.status = status;
    this.headers = new AnswerHeaders(headers);
    this.#text = text;
  }

  get ok(): boolean {
    return this.status >= 200 && this.status < 300;
  }

  text(): Promise<string> {
    return Promise.resolve(this.#text);
  }
}
