import { Cluster } from 'ioredis';
import { connectRedis, type RedisClient } from './client.ts';
import type { ScriptConnection } from './script.ts';

/** How a lost connection shows itself to ioredis' user. */
type OnError = (error: Error) => void;

/**
 * A connection of its own for the scripts that each document runs: BullMQ registers 64 on the one that it is given, and
 * every pipeline there would copy them all. It knows the run id of the server that it is to, so that scripts need not ask
 * for it. Nothing that was sent on a connection is sent again on the next one, which may be to another server. In a
 * Cluster a command may be redirected within one connection: there scripts ask.
 */
export class OwnScriptConnection implements ScriptConnection, Disposable {
  readonly client: RedisClient;
  #runId = '';
  #connections = 0;

  constructor(address: string, onError: OnError) {
    this.client = connectRedis(address, 'scripts');
    this.client.on('error', onError);
    if (this.client instanceof Cluster) return;
    this.client.on('close', () => this.#forget());
    this.client.on('ready', () => void this.#learn());
  }

  get runId(): string {
    return this.#runId;
  }

  [Symbol.dispose](): void {
    this.client.disconnect();
  }

  #forget(): void {
    this.#connections += 1;
    this.#runId = '';
  }

  async #learn(): Promise<void> {
    const connection = this.#connections;
    const text = await this.client.info('server').catch(() => '');
    if (connection === this.#connections) this.#runId = /^run_id:(\w+)/m.exec(text)?.[1] ?? '';
  }
}
