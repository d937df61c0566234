import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/**
 * What happens to connections, new and open:
 * `pass` forwards; `refuse` lets nobody connect (open connections go on); `reset` breaks with RST; `black_hole` takes
 * connections and bytes and never says anything again, like a host that lost its power; `stall` holds bytes back until
 * the next mode, like a network that drops all packets for a while; `delay` forwards late; `answer` says one thing to
 * every request, also to those under way, and hangs up, like a gateway whose server is gone; `terminate` lets nobody
 * connect and never says anything to those that are connected, like a server that is shutting down.
 */
export type ProxyMode =
  | { readonly kind: 'pass' | 'refuse' | 'reset' | 'black_hole' | 'stall' | 'terminate' }
  | { readonly kind: 'answer'; readonly text: string }
  | { readonly kind: 'delay'; readonly delayMs: number };

type Pair = {
  readonly client: Socket;
  readonly upstream: Socket | null;
  isSilent: boolean;
  /** What the network owes while it stalls, in order. */
  held: (() => void)[];
};

/** A TCP proxy between a client and a real server, to make the network misbehave on purpose. */
export class FaultProxy implements AsyncDisposable {
  /** Connections taken since the start. */
  accepted = 0;
  readonly #target: { readonly host: string; readonly port: number };
  readonly #pairs = new Set<Pair>();
  #mode: ProxyMode = { kind: 'pass' };
  #server: Server;
  #port = 0;
  #changed: Promise<void> = Promise.resolve();

  constructor(target: string) {
    const { hostname, port } = new URL(target);
    this.#target = { host: hostname, port: Number(port) };
    this.#server = this.#create();
  }

  get port(): number {
    return this.#port;
  }

  get openConnections(): number {
    return this.#pairs.size;
  }

  /** An address of the target, seen through the proxy. */
  through(target: string): string {
    const url = new URL(target);
    url.hostname = '127.0.0.1';
    url.port = String(this.#port);
    return url.href;
  }

  async listen(): Promise<this> {
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
    return this;
  }

  async set(mode: ProxyMode): Promise<void> {
    this.#mode = mode;
    if (mode.kind !== 'stall') for (const pair of this.#pairs) deliverHeld(pair);
    if (mode.kind === 'reset') for (const pair of this.#pairs) breakPair(pair);
    if (mode.kind === 'answer') for (const { client } of this.#pairs) client.end(mode.text);
    if (mode.kind === 'terminate') this.silence();
    // Of several at the same time each finds the port as the one before left it.
    this.#changed = this.#changed.then(() => this.#openOrClose());
    await this.#changed;
  }

  /** Takes connections, or does not, as the mode says now. */
  async #openOrClose(): Promise<void> {
    const refuses = this.#mode.kind === 'refuse' || this.#mode.kind === 'terminate';
    if (refuses && this.#server.listening) {
      /** `close` would wait for open connections to end before it calls back; the port is free at once. */
      this.#server.close();
    } else if (!refuses && !this.#server.listening) {
      this.#server = this.#create();
      await this.listen();
    }
  }

  /** Connections that are open say nothing any more, for ever; new ones go on: an address that moved to another host. */
  silence(): void {
    for (const pair of this.#pairs) pair.isSilent = true;
  }

  /** Breaks those that say nothing any more, as whoever keeps connections finds out in the end. */
  breakSilent(): void {
    for (const pair of this.#pairs) if (pair.isSilent || pair.upstream === null) breakPair(pair);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = this.#server.listening ? once(this.#server, 'close') : null;
    this.#server.close();
    for (const pair of this.#pairs) breakPair(pair);
    await closed;
  }

  #create(): Server {
    return createServer((client) => this.#take(client));
  }

  #take(client: Socket): void {
    this.accepted += 1;
    client.on('error', () => {});
    if (this.#mode.kind === 'reset') return void client.resetAndDestroy();
    if (this.#mode.kind === 'answer') {
      const { text } = this.#mode;
      return void client.once('data', () => client.end(text));
    }
    const upstream = this.#mode.kind === 'black_hole' ? null : connect(this.#target);
    const pair: Pair = { client, upstream, isSilent: false, held: [] };
    this.#pairs.add(pair);
    client.once('close', () => {
      this.#pairs.delete(pair);
      if (upstream !== null) upstream.destroy();
    });
    if (upstream === null) return void client.resume();
    upstream.on('error', () => client.resetAndDestroy());
    this.#forward(pair, client, upstream);
    this.#forward(pair, upstream, client);
  }

  /** In order, whatever the delay; in a black hole bytes and even the end of a connection are swallowed. */
  #forward(pair: Pair, from: Socket, to: Socket): void {
    const late: { readonly act: () => void; readonly dueMs: number }[] = [];
    const deliverLate = (): void => {
      while (late[0] !== undefined && late[0].dueMs <= performance.now()) late.shift()?.act();
      if (late[0] !== undefined) setTimeout(deliverLate, Math.max(1, late[0].dueMs - performance.now()));
    };
    const deliver = (act: () => void) => {
      if (pair.isSilent || this.#mode.kind === 'black_hole') return;
      const delayMs = this.#mode.kind === 'delay' ? this.#mode.delayMs : 0;
      if (this.#mode.kind === 'stall') pair.held.push(act);
      // Nothing overtakes what is late.
      else if (delayMs === 0 && late.length === 0) act();
      else if (late.push({ act, dueMs: performance.now() + delayMs }) === 1) setTimeout(deliverLate, delayMs);
    };
    from.on('data', (chunk: Buffer) => deliver(() => to.writable && to.write(chunk)));
    from.on('end', () => deliver(() => to.end()));
  }
}

export function startFaultProxy(options: { readonly target: string }): Promise<FaultProxy> {
  return new FaultProxy(options.target).listen();
}

function breakPair({ client, upstream }: Pair): void {
  // The system does not reset what is shutting down, and Node would keep its handle.
  if (client.writableEnded) client.destroy();
  else client.resetAndDestroy();
  upstream?.destroy();
}

function deliverHeld(pair: Pair): void {
  for (const act of pair.held.splice(0)) if (!pair.isSilent) act();
}
