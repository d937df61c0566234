import { once } from 'node:events';
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * What DNS and kube-proxy are in a cluster: an HTTP proxy that leads `api-internal.spillway.svc:9464` to the process of a
 * pod behind that Service. Nobody behind it is a 502, as a connection refused would be.
 */
export class ServiceNames implements AsyncDisposable {
  readonly #server: Server;
  readonly #portOf: (service: string, port: number) => number | null;

  constructor(portOf: (service: string, port: number) => number | null) {
    this.#portOf = portOf;
    this.#server = createServer((asked, response) => this.#forward(asked, response));
  }

  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  #forward(asked: IncomingMessage, response: ServerResponse): void {
    const { hostname, port, pathname, search } = new URL(asked.url ?? '', 'http://none');
    const target = this.#portOf(hostname.split('.')[0] ?? '', Number(port || 80));
    const refuse = (): void => void response.writeHead(502).end();
    if (target === null) return refuse();
    const options = { host: '127.0.0.1', port: target, path: pathname + search, method: asked.method };
    const forwarded = request({ ...options, headers: asked.headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    forwarded.once('error', refuse);
    asked.pipe(forwarded);
  }
}
