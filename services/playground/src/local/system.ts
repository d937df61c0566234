import { backoffMs } from '@spillway/core';
import { pause } from '@spillway/runtime';
import { startProcess, type LogFields, type ProcessEnd, type ProcessSpec, type RunningProcess } from './process.ts';

/** A process of a system. */
export type Member = ProcessSpec & {
  /** What others rely on has the lower number, and stops after them. */
  readonly level: number;
  /** How to know that it works, for a program that does not log `ready`. */
  readonly isReady?: (process: RunningProcess) => Promise<void>;
};

export type SystemOptions = {
  /** What to do when a process dies that had been ready. */
  readonly onDeath: 'restart' | 'fail';
  /** For what the user must know, one line at a time. */
  readonly tell: (line: string) => void;
  readonly onLine: ProcessSpec['onLine'];
  /** How long a process may take to finish its work in flight. */
  readonly stopLimitMs: number;
};

/** Loading the code of a service takes a second, on a machine that is busy with other work some more. */
const MAX_START_MS = 120_000;

/** One that ran for so long did not die from what it met at its start. */
const STEADY_MS = 60_000;
const BACKOFF = { firstMs: 500, maxMs: 30_000 };

/** The processes that together are Spillway on one machine. */
export class System implements AsyncDisposable {
  readonly #options: SystemOptions;
  readonly #running = new Map<Member, RunningProcess>();
  readonly #stopping = new AbortController();
  readonly #watches: Promise<void>[] = [];
  readonly #failure = Promise.withResolvers<never>();

  constructor(options: SystemOptions) {
    this.#options = options;
    this.#failure.promise.catch(() => undefined);
  }

  /** Rejects when a process died and `onDeath` is `fail`. */
  get failure(): Promise<never> {
    return this.#failure.promise;
  }

  /** Starts a process and waits until it is ready; rejects with its last words when it ends before. */
  async start(member: Member): Promise<LogFields> {
    this.#stopping.signal.throwIfAborted();
    const process = this.#launch(member);
    const fields = await untilReady(member, process);
    this.#watches.push(this.#watch(member));
    return fields;
  }

  /** Stops all, those that others rely on last. */
  async stop(): Promise<void> {
    this.#stopping.abort('shutdown');
    const levels = new Set([...this.#running.keys()].map((member) => member.level));
    for (const level of [...levels].toSorted((left, right) => right - left)) {
      const members = [...this.#running].filter(([member]) => member.level === level);
      await Promise.all(members.map(([, process]) => process.stop(this.#options.stopLimitMs)));
    }
    await Promise.all(this.#watches);
  }

  /** Ends all at once. */
  kill(): void {
    this.#stopping.abort('shutdown');
    for (const process of this.#running.values()) process.kill('SIGKILL');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #launch(member: Member): RunningProcess {
    const { onLine } = this.#options;
    const process = startProcess(onLine === undefined ? member : { ...member, onLine });
    this.#running.set(member, process);
    return process;
  }

  /** Waits for the process to die, again and again. */
  async #watch(member: Member): Promise<void> {
    const { signal } = this.#stopping;
    let deaths = 0;
    for (;;) {
      const since = Date.now();
      const end = await this.#running.get(member)?.exited;
      if (signal.aborted || end === undefined) return;
      if (this.#options.onDeath === 'fail') {
        this.#failure.reject(new Error(describeDeath(member, end)));
        return;
      }
      deaths = Date.now() - since > STEADY_MS ? 1 : deaths + 1;
      const waitMs = backoffMs(deaths, 1, BACKOFF);
      this.#options.tell(`${describeDeath(member, end)}; starting it again in ${waitMs / 1000} s`);
      await pause(waitMs, signal);
      if (signal.aborted) return;
      const process = this.#launch(member);
      void untilReady(member, process).then(
        () => this.#options.tell(`${member.service} runs again`),
        // The loop sees its end and reports it.
        () => undefined,
      );
    }
  }
}

async function untilReady(member: Member, process: RunningProcess): Promise<LogFields> {
  const late = AbortSignal.timeout(MAX_START_MS);
  const { promise: tooLate, reject } = Promise.withResolvers<never>();
  late.addEventListener('abort', () => reject(new Error(`not ready after ${MAX_START_MS / 1000} s`)), { once: true });
  tooLate.catch(() => undefined);
  const ready = member.isReady === undefined ? process.ready : member.isReady(process).then(() => ({}));
  try {
    return await Promise.race([ready, tooLate]);
  } catch (error) {
    throw new Error(`${member.service}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

function describeDeath(member: Member, end: ProcessEnd): string {
  return `${member.service} ended unexpectedly (${end.reason.split('\n').join(' ')})`;
}
