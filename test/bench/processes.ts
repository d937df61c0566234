import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export type Env = Readonly<Record<string, string>>;

/** A server as a process of its own, ended with the bench. */
export type Started = Disposable & { readonly child: ChildProcess; readonly port: number; readonly baseURL: string };

function forked(script: string, env: Env): ChildProcess {
  const path = fileURLToPath(new URL(script, import.meta.url));
  return fork(path, [], { env: { ...process.env, ...env }, silent: true });
}

/** The first thing that a process says, as JSON; what it complains of if it ends before. */
async function said<Said>(child: ChildProcess): Promise<Said> {
  let complaint = '';
  child.stderr?.on('data', (chunk: Buffer) => (complaint += chunk.toString()));
  const ended = once(child, 'exit').then(() => {
    throw new Error(`${child.spawnfile} ended: ${complaint}`);
  });
  const [chunk] = (await Promise.race([once(child.stdout as NodeJS.ReadableStream, 'data'), ended])) as [Buffer];
  ended.catch(() => undefined);
  return JSON.parse(chunk.toString()) as Said;
}

async function started(script: string, env: Env): Promise<Started> {
  const child = forked(script, { PORT: '0', ...env });
  const { port } = await said<{ port: number }>(child);
  return { child, port, baseURL: `http://127.0.0.1:${port}/v1`, [Symbol.dispose]: () => void child.kill() };
}

/** A model server as a process of its own, which answers at once or after `LATENCY_MS`. */
export const startModel = (role: string, env: Env = {}): Promise<Started> =>
  started('../support/model-server.ts', { ROLE: role, ...env });

/** A model server that takes the time that GPUs take; its variables stand in `gpu/server.ts`. */
export const startGpu = (env: Env): Promise<Started> => started('gpu/server.ts', env);

/** A collector that takes whatever comes, as a process of its own. */
export const startSink = (): Promise<Started> => started('sink.ts', {});

/** Runs a script to its end; the one thing that it says. */
export async function ran<Said>(script: string, env: Env): Promise<Said> {
  const child = forked(script, env);
  const exited = once(child, 'exit');
  const answer = await said<Said>(child);
  await exited;
  return answer;
}

/** What the kernel sees of a process' resident memory, in MiB: now, or the highest that it ever saw. */
function memoryMiB(pid: number | undefined, field: 'VmRSS' | 'VmHWM'): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Math.round(Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1]) / 1024);
}

export const residentMiB = (pid: number | undefined): number => memoryMiB(pid, 'VmRSS');

export const peakMiB = (pid: number | undefined): number => memoryMiB(pid, 'VmHWM');

/** The seconds of CPU that a process has taken so far; Linux counts them in hundredths. */
export function cpuS(pid: number | undefined): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** The seconds that all cores of the machine together were busy so far, and those that they had. */
export function machineS(): { readonly busy: number; readonly all: number } {
  const fields = readFileSync('/proc/stat', 'utf8').split('\n')[0]?.split(/\s+/).slice(1, 9).map(Number) ?? [];
  const all = fields.reduce((sum, one) => sum + one, 0);
  const idle = (fields[3] ?? 0) + (fields[4] ?? 0);
  return { busy: (all - idle) / 100, all: all / 100 };
}

/** Every fourth document is not sure enough. */
export const prompts = (count: number): string[] => Array.from({ length: count }, (_, index) => promptAt(index));

export const promptAt = (index: number): string =>
  index % 4 === 0 ? `[[drafter unsure]] ${index}` : `document ${index}`;

export const report = (figures: Record<string, unknown>): void =>
  void process.stdout.write(`${JSON.stringify(figures)}\n`);
