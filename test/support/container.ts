import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** What a container's process is started with, outside of one. */
export type Container = {
  readonly directory: string;
  /** What Node is given. */
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** `uid:gid`; it becomes that user where this machine allows it. */
  readonly user?: string;
};

/** A container's process on this machine, with the environment that it is given and no other. */
export class ContainerProcess implements AsyncDisposable {
  readonly child: ChildProcess;
  readonly lines: string[] = [];
  readonly #changes = new EventTarget();

  constructor({ directory, command, env, user }: Container) {
    const [uid = '', gid = ''] = (user ?? '').split(':');
    const become = ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', process.execPath];
    const [binary = '', ...args] = user !== undefined && process.getuid?.() === 0 ? become : [process.execPath];
    this.child = spawn(binary, [...args, ...command], {
      cwd: directory,
      env: { PATH: process.env['PATH'] ?? '', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      if (stream === null) continue;
      createInterface({ input: stream }).on('line', (line) => {
        this.lines.push(line);
        this.#changes.dispatchEvent(new Event('change'));
      });
    }
    this.child.once('exit', () => this.#changes.dispatchEvent(new Event('change')));
  }

  /** Until it says that it does its work. */
  async ready(): Promise<void> {
    while (!this.lines.some((line) => line.includes('"ready"'))) {
      if (this.child.exitCode !== null) throw new Error(this.lines.join('\n'));
      await once(this.#changes, 'change');
    }
  }

  /** Its exit code, when it has ended by itself. */
  async ended(): Promise<number | null> {
    if (this.child.exitCode === null && this.child.signalCode === null) await once(this.child, 'close');
    return this.child.exitCode;
  }

  /** Ends it as a container engine does; its exit code. */
  async stop(): Promise<number | null> {
    this.child.kill('SIGTERM');
    return await this.ended();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    this.child.kill('SIGKILL');
    await once(this.child, 'exit');
  }
}
