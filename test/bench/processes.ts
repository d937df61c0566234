import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

export type Started = { readonly child: ChildProcess; readonly port: number; readonly baseURL: string };

async function started(script: string, env: Readonly<Record<string, string>>): Promise<Started> {
  const path = fileURLToPath(new URL(script, import.meta.url));
  const child = fork(path, [], { env: { ...process.env, PORT: '0', ...env }, silent: true });
  const [chunk] = (await once(child.stdout as NodeJS.ReadableStream, 'data')) as [Buffer];
  const { port } = JSON.parse(chunk.toString()) as { port: number };
  return { child, port, baseURL: `http://127.0.0.1:${port}/v1` };
}

/** An instant model server as a process of its own. */
export const startModel = (role: string): Promise<Started> => started('../support/model-server.ts', { ROLE: role });

/** A collector that takes whatever comes, as a process of its own. */
export const startSink = (): Promise<Started> => started('sink.ts', {});

/** What the kernel sees of a process' resident memory, in MiB: now, or the highest that it ever saw. */
async function memoryMiB(pid: number | undefined, field: 'VmRSS' | 'VmHWM'): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Math.round(Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1]) / 1024);
}

export const residentMiB = (pid: number | undefined): Promise<number> => memoryMiB(pid, 'VmRSS');

export const peakMiB = (pid: number | undefined): Promise<number> => memoryMiB(pid, 'VmHWM');

/** The value below which a share lies. */
export const quantile = (values: readonly number[], share: number): number => {
  const sorted = values.toSorted((left, right) => left - right);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
};

/** Every fourth document is not sure enough. */
export const prompts = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => (index % 4 === 0 ? `[[drafter unsure]] ${index}` : `document ${index}`));

export const report = (figures: Record<string, unknown>): void =>
  void process.stdout.write(`${JSON.stringify(figures)}\n`);
