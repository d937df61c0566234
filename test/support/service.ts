import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { plainEnv } from './plain-env.ts';

export type ServiceName = 'api' | 'dispatcher' | 'drafter' | 'expert';

type LogLine = Readonly<Record<string, unknown>> & { readonly msg?: string };

/** A service as a real process, with its log lines to wait for. */
export class Service implements AsyncDisposable {
  readonly name: ServiceName;
  readonly child: ChildProcess;
  readonly lines: LogLine[] = [];
  stderr = '';
  readonly #watchers = new Set<(line: LogLine) => void>();

  constructor(name: ServiceName, env: Readonly<Record<string, string>>) {
    this.name = name;
    const main = fileURLToPath(new URL(`../../services/${name}/src/main.ts`, import.meta.url));
    this.child = spawn(process.execPath, [main], {
      env: { ...plainEnv(), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child.stderr?.on('data', (chunk: Buffer) => (this.stderr += chunk.toString()));
    if (this.child.stdout !== null) {
      createInterface({ input: this.child.stdout }).on('line', (text) => this.#line(text));
    }
  }

  /** The first log line, past or to come, that fits. */
  async waitFor(fits: (line: LogLine) => boolean, limitMs = 30_000): Promise<LogLine> {
    const past = this.lines.find(fits);
    if (past !== undefined) return past;
    const { promise, resolve, reject } = Promise.withResolvers<LogLine>();
    const watch = (line: LogLine): void => {
      if (fits(line)) resolve(line);
    };
    const ended = (): void =>
      reject(new Error(`${this.name} ended: ${this.stderr || JSON.stringify(this.lines.at(-1))}`));
    const limit = setTimeout(() => reject(new Error(`${this.name} did not log it: ${this.stderr}`)), limitMs);
    this.#watchers.add(watch);
    this.child.once('exit', ended);
    return await promise.finally(() => {
      clearTimeout(limit);
      this.#watchers.delete(watch);
      this.child.off('exit', ended);
    });
  }

  ready(): Promise<LogLine> {
    return this.waitFor((line) => line.msg === 'ready');
  }

  /** Ends it as a crash would. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** Ends it as a deploy would; its exit code. */
  async stop(): Promise<number | null> {
    await this.#end('SIGTERM');
    return this.child.exitCode;
  }

  /** Holds it, as a machine that is swapping or suspended would. */
  freeze(): void {
    this.child.kill('SIGSTOP');
  }

  thaw(): void {
    this.child.kill('SIGCONT');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const exited = once(this.child, 'exit');
    this.child.kill(signal);
    this.child.kill('SIGCONT');
    await exited;
  }

  #line(text: string): void {
    let line: LogLine;
    try {
      line = JSON.parse(text) as LogLine;
    } catch {
      return;
    }
    this.lines.push(line);
    for (const watch of this.#watchers) watch(line);
  }
}
