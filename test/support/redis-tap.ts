import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** Connections by what is asked on them: a worker waits for documents on one of its own. */
export type ConnectionKind = 'waiting' | 'other';

export type Silence = {
  /** It begins with the so many-th command of these connections from now on, the first being 1. */
  readonly at: number;
  readonly of: ConnectionKind | 'any';
  /** Only what Redis says is lost; else what it is asked, too. */
  readonly onlyReplies: boolean;
  /** `held`: what is said meanwhile comes late, as packets that are sent again; `dead`: never, on connections of before. */
  readonly kind: 'held' | 'dead';
  readonly ms: number;
};

type Pair = { readonly client: Socket; readonly upstream: Socket; kind: ConnectionKind; silence: Silenced | null };

/** What a silent connection did not pass on. */
type Silenced = { readonly held: (() => void)[]; isOver: boolean };

/** A TCP proxy before Redis that counts commands, and lets connections fall silent with one of them. */
export class RedisTap implements AsyncDisposable {
  readonly #port: number;
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  #armed: { readonly silence: Silence; left: number; readonly begun: PromiseWithResolvers<string> } | null = null;
  #isSilent: Silence | null = null;

  private constructor(port: number) {
    this.#port = port;
    this.#server = createServer((client) => this.#take(client));
  }

  static async start(redis: { readonly port: number }): Promise<RedisTap> {
    const tap = new RedisTap(redis.port);
    await once(tap.#server.listen(0, '127.0.0.1'), 'listening');
    return tap;
  }

  get url(): string {
    return `redis://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Resolves with the command with which the silence begins. */
  fallSilent(silence: Silence): Promise<string> {
    const begun = Promise.withResolvers<string>();
    this.#armed = { silence, left: silence.at, begun };
    return begun.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const { client } of this.#pairs) client.destroy();
    await closed;
  }

  #take(client: Socket): void {
    const upstream = connect(this.#port, '127.0.0.1');
    const pair: Pair = { client, upstream, kind: 'other', silence: null };
    this.#pairs.add(pair);
    if (this.#isSilent !== null && isOf(this.#isSilent, pair)) pair.silence = { held: [], isOver: false };
    client
      .on('error', () => undefined)
      .once('close', () => {
        this.#pairs.delete(pair);
        upstream.destroy();
      });
    upstream.on('error', () => client.resetAndDestroy());
    const reader = new CommandReader();
    client.on('data', (chunk: Buffer) => {
      for (const command of reader.push(chunk)) this.#see(command, pair);
      this.#pass(pair, () => upstream.write(chunk), false);
    });
    client.on('end', () => this.#pass(pair, () => upstream.end(), false));
    upstream.on('data', (chunk: Buffer) => this.#pass(pair, () => client.write(chunk), true));
    upstream.on('end', () => this.#pass(pair, () => client.end(), true));
  }

  #see(command: string, pair: Pair): void {
    if (command === 'bzpopmin') pair.kind = 'waiting';
    const armed = this.#armed;
    if (armed === null || !(armed.silence.of === 'any' || armed.silence.of === pair.kind)) return;
    armed.left -= 1;
    if (armed.left > 0) return;
    this.#armed = null;
    this.#begin(armed.silence);
    armed.begun.resolve(command);
  }

  #begin(silence: Silence): void {
    this.#isSilent = silence;
    const silenced = [...this.#pairs].filter((pair) => isOf(silence, pair));
    for (const pair of silenced) pair.silence = { held: [], isOver: false };
    setTimeout(() => {
      this.#isSilent = null;
      // Those that were opened meanwhile were only late.
      for (const pair of this.#pairs) {
        if (silence.kind === 'dead' && silenced.includes(pair)) continue;
        for (const act of pair.silence?.held ?? []) act();
        pair.silence = null;
      }
    }, silence.ms);
  }

  #pass({ silence }: Pair, act: () => void, isReply: boolean): void {
    if (silence === null || (this.#isSilent?.onlyReplies === true && !isReply)) act();
    else silence.held.push(act);
  }
}

const isOf = ({ of }: Silence, { kind }: Pair): boolean => of === 'any' || of === kind;

/** Reads the names of commands from what a client sends. */
class CommandReader {
  #rest = Buffer.alloc(0);

  *push(chunk: Buffer): Generator<string> {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    for (;;) {
      const command = this.#next();
      if (command === null) return;
      yield command;
    }
  }

  /** Takes one whole command off; null: there is none. */
  #next(): string | null {
    const rest = this.#rest;
    let at = 0;
    const number = (): number | null => {
      const end = rest.indexOf('\r\n', at);
      if (end === -1) return null;
      const value = Number(rest.toString('latin1', at + 1, end));
      at = end + 2;
      return value;
    };
    const parts = number();
    if (parts === null) return null;
    let name = '';
    for (let part = 0; part < parts; part += 1) {
      const length = number();
      if (length === null || at + length + 2 > rest.length) return null;
      if (part === 0) name = rest.toString('latin1', at, at + length).toLowerCase();
      at += length + 2;
    }
    this.#rest = rest.subarray(at);
    return name;
  }
}
