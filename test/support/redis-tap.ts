import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** Connections by what is asked on them: a worker waits for documents on one of its own, and takes them on another. */
export type ConnectionKind = 'waiting' | 'taking' | 'other';

export type Silence = {
  /** It begins with the so many-th command of these connections from now on, the first being 1. */
  readonly at: number;
  readonly of: ConnectionKind | 'any';
  /** Only what Redis says is lost; else what it is asked, too. */
  readonly onlyReplies: boolean;
  /**
   * `held`: what is said meanwhile comes late, as packets that are sent again; `dead`: never, on connections of before;
   * `drips`: a reply without end, a byte a second, in place of all that Redis says on connections of before.
   */
  readonly kind: 'held' | 'dead' | 'drips';
  readonly ms: number;
};

type Pair = { readonly client: Socket; readonly upstream: Socket; kind: ConnectionKind; silence: Silenced | null };

/** What a silent connection did not pass on. */
type Silenced = { readonly held: (() => void)[] };

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
    this.#joinSilence(pair);
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

  #see({ name: command, key }: Command, pair: Pair): void {
    if (command === 'bzpopmin') pair.kind = 'waiting';
    if (key.endsWith(':wait')) pair.kind = 'taking';
    this.#joinSilence(pair);
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
    for (const pair of silenced) this.#joinSilence(pair);
    setTimeout(() => {
      this.#isSilent = null;
      // Those that were opened meanwhile were only late.
      for (const pair of this.#pairs) {
        if (silence.kind !== 'held' && silenced.includes(pair)) continue;
        for (const act of pair.silence?.held ?? []) act();
        pair.silence = null;
      }
    }, silence.ms);
  }

  /** A connection that is opened, or shows its kind, while such ones are silent. */
  #joinSilence(pair: Pair): void {
    if (this.#isSilent === null || pair.silence !== null || !isOf(this.#isSilent, pair)) return;
    pair.silence = { held: [] };
    if (this.#isSilent.kind === 'drips') drip(pair.client);
  }

  #pass({ silence }: Pair, act: () => void, isReply: boolean): void {
    if (silence === null || (this.#isSilent?.onlyReplies === true && !isReply)) act();
    else silence.held.push(act);
  }
}

function drip(client: Socket): void {
  client.write('$1000000\r\n');
  const dripping = setInterval(() => client.write('x'), 1_000);
  client.once('close', () => clearInterval(dripping));
}

const isOf = ({ of }: Silence, { kind }: Pair): boolean => of === 'any' || of === kind;

/** A command's name, and what stands where a script has its first key. */
type Command = { readonly name: string; readonly key: string };

/** Reads commands from what a client sends. */
class CommandReader {
  #rest = Buffer.alloc(0);

  *push(chunk: Buffer): Generator<Command> {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    for (;;) {
      const command = this.#next();
      if (command === null) return;
      yield command;
    }
  }

  /** Takes one whole command off; null: there is none. */
  #next(): Command | null {
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
    const words: string[] = [];
    for (let part = 0; part < parts; part += 1) {
      const length = number();
      if (length === null || at + length + 2 > rest.length) return null;
      if (part < 4) words.push(rest.toString('latin1', at, at + length));
      at += length + 2;
    }
    this.#rest = rest.subarray(at);
    const [name = '', , , key = ''] = words;
    return { name: name.toLowerCase(), key };
  }
}
