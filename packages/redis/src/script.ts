import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { addPrioritizedJob } from 'bullmq/dist/esm/scripts/addPrioritizedJob-9.js';
import type { RedisClient } from './client.ts';

/** What scripts run on: a connection, and the run id of the server that it is to, as far as that is known; else ''. */
export type ScriptConnection = { readonly client: RedisClient; readonly runId: string };

/** BullMQ's script that adds a job of a priority, as a function of its keys and arguments. */
const ADD_PRIORITIZED_JOB = `local function add_prioritized_job(KEYS, ARGV)\n${addPrioritizedJob.content}\nend\n`;

function source(name: string): string {
  const text = readFileSync(new URL(`lua/${name}.lua`, import.meta.url), 'utf8');
  return name === 'add_job' ? `${ADD_PRIORITIZED_JOB}${text}` : text;
}

/** A Lua script of ours, run by its hash and sent again when Redis forgot it. */
export class Script {
  readonly #text: string;
  readonly #hash: string;

  /** `also` names files of functions that the script uses. */
  constructor(name: string, ...also: readonly string[]) {
    this.#text = ['epoch', ...also, name].map(source).join('');
    this.#hash = createHash('sha1').update(this.#text).digest('hex');
  }

  async run(
    on: RedisClient | ScriptConnection,
    keys: readonly string[],
    args: readonly (string | number)[],
  ): Promise<unknown> {
    const { client, runId } = 'runId' in on ? on : { client: on, runId: '' };
    try {
      return await client.evalsha(this.#hash, keys.length, ...keys, ...args, runId);
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
    }
    // Anew: meanwhile it may be another server.
    return await client.eval(this.#text, keys.length, ...keys, ...args, 'runId' in on ? on.runId : '');
  }
}
