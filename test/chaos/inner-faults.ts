// Preloaded into a service by NODE_OPTIONS: what can go wrong inside a process and nobody else can do to it. The file that
// INNER_FAULTS names says what (see InnerFaults); it is read at start, and again at each SIGUSR2.
import { readFileSync } from 'node:fs';
import promises, { type FileHandle } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { setTimeout as delay } from 'node:timers/promises';

export type InnerFaults = {
  /** How far the clock is off. */
  readonly clockMs: number;
  /** When it dies while it writes a file; see test/support/die-at.ts. */
  readonly dieAt: string | null;
  /** How its storage's directory behaves; `every`: only each so-manieth call is hit. */
  readonly storage:
    | { readonly kind: 'well' }
    | { readonly kind: 'full' | 'failing'; readonly every: number }
    | { readonly kind: 'slow'; readonly delayMs: number };
};

export const NO_INNER_FAULTS: InnerFaults = { clockMs: 0, dieAt: null, storage: { kind: 'well' } };

type AnyCall = (...args: unknown[]) => Promise<unknown>;

/** Those that make something, which a full disk refuses. */
const MAKING = ['link', 'mkdir'] as const;
const OTHER = ['opendir', 'stat', 'unlink', 'rmdir'] as const;
const OF_A_FILE = ['read', 'writeFile', 'sync', 'stat'] as const;

class Faults {
  #now = NO_INNER_FAULTS;
  #calls = 0;
  readonly #directory = process.env['SPILLWAY_DATA_DIR'] ?? '';

  get clockMs(): number {
    return this.#now.clockMs;
  }

  read(path: string): void {
    this.#now = JSON.parse(readFileSync(path, 'utf8')) as InnerFaults;
    process.env['DIE_AT'] = this.#now.dieAt ?? '';
  }

  concerns(path: unknown): boolean {
    return this.#directory !== '' && typeof path === 'string' && path.startsWith(this.#directory);
  }

  /** Waits, or throws what the system would say. */
  async disturb(call: string, makes: boolean): Promise<void> {
    const { storage } = this.#now;
    if (storage.kind === 'slow') await delay(storage.delayMs);
    if (storage.kind !== 'full' && storage.kind !== 'failing') return;
    this.#calls += 1;
    if (this.#calls % storage.every !== 0) return;
    if (storage.kind === 'failing') throw systemError('EIO', call);
    if (makes) throw systemError('ENOSPC', call);
  }
}

const systemError = (code: string, call: string): Error =>
  Object.assign(new Error(`${code}: scripted, ${call}`), { code, errno: code === 'EIO' ? -5 : -28, syscall: call });

function disturbFiles(faults: Faults): void {
  const calls = promises as unknown as Record<string, AnyCall>;
  for (const name of [...MAKING, ...OTHER]) {
    const whole = calls[name] as AnyCall;
    calls[name] = async (path, ...rest) => {
      if (faults.concerns(path)) await faults.disturb(name, (MAKING as readonly string[]).includes(name));
      return whole(path, ...rest);
    };
  }
  const open = promises.open;
  promises.open = async (path, flags, mode) => {
    if (!faults.concerns(path)) return open(path, flags, mode);
    await faults.disturb('open', String(flags ?? 'r') !== 'r');
    const file = await open(path, flags, mode);
    disturbFile(faults, file);
    return file;
  };
  syncBuiltinESMExports();
}

function disturbFile(faults: Faults, file: FileHandle): void {
  const calls = file as unknown as Record<string, AnyCall>;
  for (const name of OF_A_FILE) {
    const whole = (calls[name] as AnyCall).bind(file);
    calls[name] = async (...args) => {
      const writes = name === 'writeFile' || name === 'sync';
      await faults.disturb(name, writes).catch(async (error: unknown) => {
        // A disk that runs full keeps what still had room.
        if (name === 'writeFile' && args[0] instanceof Uint8Array)
          await whole(args[0].subarray(0, args[0].length >> 1));
        throw error;
      });
      return whole(...args);
    };
  }
}

function shiftClock(faults: Faults): void {
  const now = Date.now.bind(Date);
  const origin = performance.timeOrigin;
  Date.now = () => now() + faults.clockMs;
  globalThis.Date = new Proxy(Date, {
    construct: (whole, args, made) => Reflect.construct(whole, args.length === 0 ? [Date.now()] : args, made) as Date,
    apply: () => new Date().toString(),
  });
  Object.defineProperty(performance, 'timeOrigin', { get: () => origin + faults.clockMs });
}

const path = process.env['INNER_FAULTS'];
if (path !== undefined) {
  await import('../support/die-at.ts');
  const faults = new Faults();
  faults.read(path);
  process.on('SIGUSR2', () => faults.read(path));
  disturbFiles(faults);
  shiftClock(faults);
}
