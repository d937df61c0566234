import { spawn, type ChildProcess } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { isJsonObject, LineSplitter } from '@spillway/core';
import type { Env } from '@spillway/runtime';

/** One line that a process wrote: one of its log's, or anything else. */
export type ProcessLine =
  | {
      readonly kind: 'log';
      readonly service: string;
      readonly level: string;
      readonly message: string;
      readonly fields: LogFields;
    }
  | { readonly kind: 'text'; readonly service: string; readonly text: string };

export type LogFields = Readonly<Record<string, unknown>>;

export type ProcessSpec = {
  /** Its name in messages. */
  readonly service: string;
  readonly script: string;
  readonly args?: readonly string[];
  /** All that it is given beside the few variables that every program needs (see `plainEnv`). */
  readonly env: Env;
  readonly cwd?: string;
  readonly onLine?: (line: ProcessLine) => void;
};

export type ProcessEnd = {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** What it said last about why, in one line; else how it ended. */
  readonly reason: string;
};

export type RunningProcess = AsyncDisposable & {
  readonly service: string;
  readonly pid: number;
  /** The fields of its log line `ready`; rejects with its reason when it ends before. */
  readonly ready: Promise<LogFields>;
  readonly exited: Promise<ProcessEnd>;
  /** Asks it to stop, and ends it when it has not after `limitMs`. */
  stop(limitMs: number): Promise<ProcessEnd>;
  kill(signal: NodeJS.Signals): void;
};

const TETHER = new URL('tether.ts', import.meta.url).href;

/** A line of a log longer than this is cut; what matters in it comes first. */
const LINE_BYTES = 256 * 1024;

/** Output that arrives after the exit is waited for so long: a grandchild may hold the pipe open for ever. */
const MAX_OUTPUT_MS = 500;

/** Beside its own, an ended test or session must not wait for longer than this. */
const MAX_DISPOSE_MS = 10_000;

const PLAIN =
  /^(PATH|HOME|USER|TMPDIR|LANG|LC_ALL|TZ|NODE_(EXTRA_CA_CERTS|COMPILE_CACHE)|SSL_CERT_(FILE|DIR)|(HTTPS?|NO)_PROXY)$/i;

/** The variables that any program may need and that hold no secret of somebody else. */
function plainEnv(env: Env): Env {
  return Object.fromEntries(Object.entries(env).filter(([name]) => PLAIN.test(name)));
}

/**
 * Starts a script as a process of this Node, in a process group of its own, so that a Ctrl-C in the terminal reaches
 * us only and we decide in which order things stop. It ends when we end, however we end.
 */
export function startProcess(spec: ProcessSpec): RunningProcess {
  const child = spawn(process.execPath, ['--import', TETHER, spec.script, ...(spec.args ?? [])], {
    env: { ...plainEnv(process.env), ...spec.env },
    cwd: spec.cwd,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  const ready = Promise.withResolvers<LogFields>();
  // Whoever only waits for the exit must not be ended by a rejection that nobody looks at.
  ready.promise.catch(() => undefined);
  const reasons = new Reasons();
  readLines(child.stdout, (text) => {
    const line = parseLine(spec.service, text);
    if (line.kind === 'log' && line.message === 'ready') ready.resolve(line.fields);
    reasons.see(line, 'stdout');
    spec.onLine?.(line);
  });
  readLines(child.stderr, (text) => {
    const line: ProcessLine = { kind: 'text', service: spec.service, text };
    reasons.see(line, 'stderr');
    spec.onLine?.(line);
  });
  const exited = endOf(child, reasons);
  void exited.then((end) => ready.reject(new Error(end.reason)));
  const kill = (signal: NodeJS.Signals): void => sendSignal(child, signal);
  const stop = async (limitMs: number): Promise<ProcessEnd> => {
    kill('SIGTERM');
    const limit = setTimeout(() => kill('SIGKILL'), limitMs);
    return exited.finally(() => clearTimeout(limit));
  };
  return {
    service: spec.service,
    pid: child.pid ?? -1,
    ready: ready.promise,
    exited,
    stop,
    kill,
    [Symbol.asyncDispose]: async () => void (await stop(MAX_DISPOSE_MS)),
  };
}

async function endOf(child: ChildProcess, reasons: Reasons): Promise<ProcessEnd> {
  const exit = Promise.withResolvers<{ code: number | null; signal: NodeJS.Signals | null }>();
  const closed = Promise.withResolvers<void>();
  child.once('exit', (code, signal) => exit.resolve({ code, signal }));
  child.once('close', () => closed.resolve());
  child.once('error', (error) => {
    reasons.set(error.message);
    exit.resolve({ code: null, signal: null });
    closed.resolve();
  });
  const { code, signal } = await exit.promise;
  // Whatever it had started itself and left behind goes with it.
  signalGroup(child, 'SIGKILL');
  const late = new AbortController();
  await Promise.race([closed.promise, delay(MAX_OUTPUT_MS, undefined, { signal: late.signal }).catch(() => undefined)]);
  late.abort();
  child.stdout?.destroy();
  child.stderr?.destroy();
  return { code, signal, reason: reasons.tell(code, signal) };
}

/** SIGKILL takes the whole group, as the end of a container does; the others are for the process to act upon. */
function sendSignal(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.exitCode !== null || child.signalCode !== null) return;
  if (signal === 'SIGKILL') signalGroup(child, signal);
  else child.kill(signal);
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // Nobody is left in it.
  }
}

function readLines(stream: NodeJS.ReadableStream | null, onText: (text: string) => void): void {
  const splitter = new LineSplitter(LINE_BYTES);
  const tell = (lines: Iterable<{ bytes: Buffer }>): void => {
    for (const { bytes } of lines) if (bytes.length > 0) onText(bytes.toString('utf8'));
  };
  stream?.on('data', (chunk: Buffer) => tell(splitter.push(chunk)));
  stream?.on('end', () => tell(splitter.end()));
}

function parseLine(service: string, text: string): ProcessLine {
  if (!text.startsWith('{')) return { kind: 'text', service, text };
  try {
    const value: unknown = JSON.parse(text);
    if (isJsonObject(value) && typeof value['level'] === 'string') {
      const { level, msg, service: _service, pid: _pid, time: _time, ...fields } = value;
      return { kind: 'log', service, level, message: typeof msg === 'string' ? msg : '', fields };
    }
  } catch {
    // It only looked like a line of a log.
  }
  return { kind: 'text', service, text };
}

/** Keeps what a process says about why it ends. */
class Reasons {
  readonly #errors: string[] = [];
  #logged: string | null = null;

  see(line: ProcessLine, from: 'stdout' | 'stderr'): void {
    if (line.kind === 'log') {
      if (line.level === 'fatal' || line.level === 'error') this.#logged = describeLog(line.message, line.fields);
    } else if (from === 'stderr' && this.#errors.length < 100) {
      this.#errors.push(line.text);
    }
  }

  set(reason: string): void {
    this.#logged = reason;
  }

  tell(code: number | null, signal: NodeJS.Signals | null): string {
    if (signal !== null) return `ended by ${signal}`;
    return this.#setupError() ?? this.#logged ?? this.#thrown() ?? `exit code ${code}`;
  }

  /** What `runService` says about a problem that the operator must mend; it may have several lines. */
  #setupError(): string | null {
    const mark = /^spillway [\w-]+: /;
    const from = this.#errors.findIndex((text) => mark.test(text));
    if (from === -1) return null;
    const lines = this.#errors.slice(from);
    const end = lines.findIndex((text, index) => index > 0 && !text.startsWith('  '));
    return lines
      .slice(0, end === -1 ? undefined : end)
      .join('\n')
      .replace(mark, '');
  }

  /** The line of a stack that names the error, else the last line. */
  #thrown(): string | null {
    return this.#errors.find((text) => /^\w*Error\b.*: /.test(text)) ?? this.#errors.at(-1) ?? null;
  }
}

/** A log line's message with its error, if it has one. */
export function describeLog(message: string, fields: LogFields): string {
  const error = fields['err'] ?? fields['error'];
  const text = isJsonObject(error) ? error['message'] : error;
  const detail = typeof text === 'string' ? text.split('\n')[0] : null;
  return detail === null || detail === undefined ? message : `${message}: ${detail}`;
}
