import { readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Service, ServiceName } from '../support/service.ts';
import type { System } from '../support/system.ts';
import { NO_INNER_FAULTS, type InnerFaults } from './inner-faults.ts';

const PRELOAD = `--import=${fileURLToPath(new URL('inner-faults.ts', import.meta.url))}`;
/** What a process is told to write down where it is, also while it hangs. */
const REPORT_SIGNAL = 'SIGXCPU';
const REPORTS = `--report-on-signal --report-signal=${REPORT_SIGNAL} --report-exclude-env`;
/** A supervisor waits a moment before it starts again what ended. */
const RESTART_MS = 300;
/** SPILLWAY_DRAIN_MS, which is 3 s here, and what closing may take. */
export const MAX_STOP_MS = 18_000;

/** A process hears of what it is told a moment later. */
const HEED_MS = 2_000;

/** How a process ended. */
export type Ending = {
  readonly process: string;
  readonly how: 'terminated' | 'by_itself' | 'before_ready';
  readonly code: number | null;
  readonly signal: string | null;
  readonly ms: number;
};

/** One place for a process of a service, with a supervisor: whoever ends there is followed by another one. */
export class ProcessSlot {
  readonly name: string;
  readonly endings: Ending[] = [];
  readonly #system: System;
  readonly #env: Readonly<Record<string, string>>;
  readonly #control: string;
  #inner: InnerFaults = NO_INNER_FAULTS;
  #service: Service | null = null;
  #origin: string | null = null;
  #starting: Promise<void> | null = null;
  /** Until then it may still do what `dieAt` said. */
  #mayDieUntilMs = 0;
  #isRetired = false;

  constructor(system: System, name: string, env: Readonly<Record<string, string>>) {
    this.#system = system;
    this.name = name;
    this.#control = join(system.directory, `${name}.json`);
    this.#env = {
      ...env,
      NODE_OPTIONS: `${PRELOAD} ${REPORTS} --report-directory=${system.directory}`,
      INNER_FAULTS: this.#control,
    };
  }

  /** Where it listens, if it is an API that clients are sent to. */
  get origin(): string | null {
    return this.#origin;
  }

  get isUp(): boolean {
    return this.#service !== null;
  }

  /** Starts a process, again and again until one is ready. */
  start(): Promise<void> {
    this.#starting ??= this.#start().finally(() => {
      this.#starting = null;
    });
    return this.#starting;
  }

  async #start(): Promise<void> {
    const service = this.name.split('-')[0] as ServiceName;
    this.#write();
    while (this.#service === null && !this.#isRetired) {
      const startedAtMs = performance.now();
      const before = this.#system.services.length;
      try {
        const started = await this.#system.run(service, this.#env);
        await this.#take(started);
      } catch {
        const failed = this.#system.services[before];
        await failed?.kill();
        this.#ended('before_ready', failed, startedAtMs);
        await delay(RESTART_MS);
      }
    }
  }

  async #take(started: Service): Promise<void> {
    const startedAtMs = performance.now();
    this.#service = started;
    const ready = await started.ready();
    if (typeof ready['port'] === 'number') this.#origin = `http://127.0.0.1:${ready['port']}`;
    // What changed while it was starting.
    started.child.kill('SIGUSR2');
    started.child.once('exit', () => {
      if (this.#service !== started) return;
      this.#service = null;
      this.#origin = null;
      const isAsked = this.#inner.dieAt !== null || performance.now() < this.#mayDieUntilMs;
      if (!isAsked || started.child.signalCode !== 'SIGKILL') this.#ended('by_itself', started, startedAtMs);
      this.#inner = { ...this.#inner, dieAt: null };
      if (!this.#isRetired) void delay(RESTART_MS).then(() => this.start());
    });
  }

  #ended(how: Ending['how'], service: Service | undefined, sinceMs: number): void {
    const { exitCode: code = null, signalCode: signal = null } = service?.child ?? {};
    this.endings.push({ process: this.name, how, code, signal, ms: Math.round(performance.now() - sinceMs) });
  }

  /** What it is told of itself from now on, also a process that comes later. */
  disturb(change: Partial<InnerFaults>): void {
    if (this.#inner.dieAt !== null) this.#mayDieUntilMs = performance.now() + HEED_MS;
    this.#inner = { ...this.#inner, ...change };
    this.#write();
    this.#service?.child.kill('SIGUSR2');
  }

  /** In one step, as a process may read it at any moment. */
  #write(): void {
    writeFileSync(`${this.#control}.new`, JSON.stringify(this.#inner));
    renameSync(`${this.#control}.new`, this.#control);
  }

  async kill(): Promise<void> {
    await this.#release()?.kill();
  }

  /** As a deploy does: clients are sent elsewhere, and it gets SIGTERM; its code is kept. */
  async terminate(): Promise<void> {
    const service = this.#release();
    if (service === null) return;
    const startedAtMs = performance.now();
    const late = delay(MAX_STOP_MS + 60_000, 'late' as const, { ref: false });
    if ((await Promise.race([service.stop(), late])) === 'late') await service.kill();
    this.#ended('terminated', service, startedAtMs);
  }

  /** Gives its process out of hand: its end is no surprise. */
  #release(): Service | null {
    const service = this.#service;
    this.#service = null;
    // A balancer notices a moment later.
    const origin = this.#origin;
    setTimeout(() => {
      if (this.#origin === origin) this.#origin = null;
    }, 100);
    return service;
  }

  freeze(): void {
    this.#service?.freeze();
  }

  thaw(): void {
    this.#service?.thaw();
  }

  async heal(): Promise<void> {
    this.thaw();
    this.disturb(NO_INNER_FAULTS);
    await this.start();
  }

  /** Nobody follows any more. */
  retire(): void {
    this.#isRetired = true;
    this.#service = null;
  }

  /** Has its process write a report of itself into the system's directory: its stack, its handles, its memory. */
  report(): void {
    this.#service?.child.kill(REPORT_SIGNAL);
  }

  /** By thread, how it stands and what processor time it has had, as the system says it; null where it does not. */
  threads(): string[] | null {
    const pid = this.#service?.child.pid;
    if (pid === undefined) return null;
    try {
      return readdirSync(`/proc/${pid}/task`).map((thread) => {
        const [stat, wchan] = ['stat', 'wchan'].map((name) =>
          readFileSync(`/proc/${pid}/task/${thread}/${name}`, 'utf8'),
        );
        return `${stat?.trim()} ${wchan}`;
      });
    } catch {
      return null;
    }
  }

  /** The most memory that its process has had, in bytes; null where the system does not say. */
  peakBytes(): number | null {
    const pid = this.#service?.child.pid;
    if (pid === undefined) return null;
    try {
      const found = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
      return found === null ? null : Number(found[1]) * 1024;
    } catch {
      return null;
    }
  }
}
