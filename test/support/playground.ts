import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

const MAIN = new URL('../../services/playground/src/server/main.ts', import.meta.url).pathname;

interface LogLine {
  readonly msg: string;
  readonly port?: number;
}

/** The server of the embedded models as a real process. */
export interface Playground extends AsyncDisposable {
  /** Waits for a log line; lines that came before count. */
  waitFor(message: string): Promise<LogLine>;
  stop(signal: NodeJS.Signals): Promise<number | null>;
}

/** `models` are those to load, where they are others than the quick start's. */
export function startPlayground(models: readonly string[] = []): Playground {
  const child: ChildProcess = spawn(process.execPath, [MAIN], {
    env: { ...process.env, PORT: '0', HOST: '127.0.0.1', LOG_LEVEL: 'info', SERVED_MODELS: models.join(',') },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit') as Promise<[number | null]>;
  const seen: LogLine[] = [];
  const waiting = new Map<string, (line: LogLine) => void>();
  if (child.stdout === null) throw new Error('the process has no standard output');
  createInterface({ input: child.stdout }).on('line', (text) => {
    const line = JSON.parse(text) as LogLine;
    seen.push(line);
    waiting.get(line.msg)?.(line);
  });
  const stop = async (signal: NodeJS.Signals): Promise<number | null> => {
    if (child.exitCode === null) child.kill(signal);
    const [code] = await exited;
    return code;
  };
  return {
    waitFor: async (message) => {
      const earlier = seen.find((line) => line.msg === message);
      if (earlier !== undefined) return earlier;
      const died = exited.then(([code]) => Promise.reject(new Error(`the playground exited with ${code}`)));
      return Promise.race([new Promise<LogLine>((resolve) => waiting.set(message, resolve)), died]);
    },
    stop,
    [Symbol.asyncDispose]: async () => void (await stop('SIGKILL')),
  };
}
