import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type Got = { readonly path: string; readonly body: string; readonly headers: IncomingHttpHeaders };

/** A receiver of webhooks that answers as a test says. */
export class Receiver implements AsyncDisposable {
  readonly got: Got[] = [];
  answer: (got: Got, response: ServerResponse) => void = (_, response) => response.end();
  readonly #server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const got = { path: request.url ?? '', body: Buffer.concat(chunks).toString(), headers: request.headers };
      this.got.push(got);
      this.answer(got, response);
    });
  });

  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** What came for a batch, by path. */
  for(batch: string, path: string): Got[] {
    return this.got.filter((one) => one.path === path && one.body.includes(batch));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}
