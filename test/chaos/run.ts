import { setTimeout as delay } from 'node:timers/promises';
import { Customer, type FailedCall, type Seen } from './customer.ts';
import { INNOCENT } from './documents.ts';
import { inflict, isOfAModel } from './faults.ts';
import type { Fleet } from './fleet.ts';
import { failedInCalm, MAX_PROCESS_BYTES, violationsOf, wrongEndings } from './invariants.ts';
import type { Ending } from './process-slot.ts';
import type { Fault, Schedule } from './schedule.ts';

/** A system that stands still gets its next fault after so long. */
const NEXT_MS = 1_500;
/** From when all is healed; the longest wait of a breaker is 30 s. */
const MAX_SILENCE_MS = 60_000;

/** What one schedule came to: a line of the log. */
export type Outcome = {
  readonly seed: number;
  readonly storage: Schedule['storage'];
  readonly documents: number;
  /** How many of each kind something is wrong with. */
  readonly oddDocuments: Readonly<Record<string, number>>;
  readonly batches: number;
  readonly retries: number;
  readonly faults: readonly (Fault & { readonly startedMs: number; readonly endedMs: number | null })[];
  readonly calls: number;
  readonly failedCalls: number;
  /** Attempts beyond the first of documents that nothing is wrong with. */
  readonly charged: number;
  readonly peakMiB: number;
  /** Processes that ended before they were ready: started into a fault. */
  readonly startsFailed: number;
  readonly longestStopMs: number;
  readonly faultsMs: number;
  readonly totalMs: number;
  readonly violations: readonly string[];
};

/** What is kept of a schedule that failed, beside its outcome. */
export type Evidence = {
  readonly seen: readonly Seen[];
  readonly failedCalls: readonly FailedCall[];
  readonly endings: readonly Ending[];
};

/** One schedule on a fleet: its batches and its faults beside each other, then the end of all of it, then what must hold. */
export class Run {
  readonly #fleet: Fleet;
  readonly #schedule: Schedule;
  readonly #customers: readonly Customer[];
  readonly #startedAtMs = performance.now();
  readonly #stop = new AbortController();
  readonly #faults: { fault: Fault; startedMs: number; endedMs: number | null }[] = [];
  readonly #violations: string[] = [];
  readonly #documents: number;

  constructor(fleet: Fleet, schedule: Schedule, prefix: string) {
    this.#fleet = fleet;
    this.#schedule = schedule;
    this.#documents = schedule.batches.reduce((sum, { documents }) => sum + documents.length, 0);
    const market = {
      client: (tenant: 'one' | 'two') => fleet.client(tenant),
      clients: (tenant: 'one' | 'two') => fleet.of('api').map((api) => fleet.client(tenant, api)),
      progress: (share: number) => this.#progress(share),
      signal: this.#stop.signal,
    };
    this.#customers = schedule.batches.map((plan, index) => new Customer(plan, index, prefix, market));
  }

  get evidence(): Evidence {
    return {
      seen: this.#customers.flatMap(({ seen }) => seen),
      failedCalls: this.#customers.flatMap(({ failedCalls }) => failedCalls),
      endings: this.#endings,
    };
  }

  get #endings(): Ending[] {
    return [...this.#fleet.slots.values()].flatMap(({ endings }) => endings);
  }

  async finish(): Promise<Outcome> {
    for (const slot of this.#fleet.slots.values()) slot.endings.splice(0);
    const working = Promise.allSettled(this.#customers.map((customer) => customer.work()));
    await this.#inflictAll();
    await this.#within('healing', this.#fleet.heal());
    const faultsMs = this.#nowMs();
    await this.#untilEnded(working);
    if (!this.#stop.signal.aborted) {
      const reading = Promise.all(this.#customers.map((customer) => customer.readAgain()));
      await this.#within('reading again', reading);
    }
    this.#check(await working);
    this.#fleet.forget();
    return this.#outcome(faultsMs);
  }

  get #settled(): number {
    return this.#customers.reduce((sum, { settled }) => sum + settled, 0);
  }

  async #progress(share: number): Promise<void> {
    const until = performance.now() + 10 * NEXT_MS;
    while (this.#settled < share * this.#documents && performance.now() < until) await delay(20);
  }

  /** In order, each at its moment; they overlap where they last. */
  async #inflictAll(): Promise<void> {
    const lasting: Promise<void>[] = [];
    for (const fault of this.#schedule.faults) {
      const until = performance.now() + NEXT_MS;
      while (this.#settled < fault.at * this.#documents && performance.now() < until) await delay(20);
      const entry = { fault, startedMs: this.#nowMs(), endedMs: null as number | null };
      this.#faults.push(entry);
      if (fault.kind === 'cancel') this.#customers[fault.batch]?.cancel();
      else {
        const done = inflict(this.#fleet, fault).then(() => {
          entry.endedMs = this.#nowMs();
        });
        lasting.push(this.#within(fault.kind, done));
      }
    }
    await Promise.all(lasting);
  }

  /** Nothing of ours or of theirs may take for ever. */
  async #within(what: string, work: Promise<unknown>): Promise<void> {
    const over = Symbol(what);
    const limit = delay(2 * MAX_SILENCE_MS, over, { ref: false });
    try {
      if ((await Promise.race([work, limit])) === over) this.#violations.push(`${what} did not end`);
    } catch (error) {
      this.#violations.push(`${what}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    }
  }

  /** Or until nothing moves any more, though all is healed. */
  async #untilEnded(working: Promise<unknown>): Promise<void> {
    const ended = new AbortController();
    void working.then(() => ended.abort());
    let moved = performance.now();
    for (let last = -1; !ended.signal.aborted; await delay(50)) {
      const now = this.#settled + this.evidence.seen.reduce((sum, { ends }) => sum + ends.length, 0);
      if (now !== last) moved = performance.now();
      last = now;
      if (performance.now() - moved < MAX_SILENCE_MS) continue;
      this.#violations.push(`nothing moves for ${MAX_SILENCE_MS} ms after all was healed`);
      this.#stop.abort(new Error('stands still'));
      return;
    }
  }

  #check(worked: readonly PromiseSettledResult<void>[]): void {
    for (const [index, result] of worked.entries()) {
      if (result.status === 'rejected') this.#violations.push(`batch ${index}: ${String(result.reason)}`);
    }
    const { faults, isCalm } = this.#schedule;
    const calls = {
      small: this.#fleet.models.small.calls,
      medium: this.#fleet.models.medium.calls,
      large: this.#fleet.models.large.calls,
    };
    const terms = { calls, mayCharge: faults.some(isOfAModel) };
    const { seen, failedCalls } = this.evidence;
    for (const one of seen) this.#violations.push(...violationsOf(one, terms));
    this.#violations.push(...wrongEndings(this.#endings));
    if (isCalm) this.#violations.push(...failedInCalm(failedCalls));
    for (const slot of this.#fleet.slots.values()) {
      const bytes = slot.peakBytes() ?? 0;
      if (bytes > MAX_PROCESS_BYTES) this.#violations.push(`${slot.name} took ${bytes} bytes of memory`);
    }
    const files = seen.flatMap(({ output, errors }) => [...output, ...errors]);
    const told = [...this.#fleet.logTexts(), ...files];
    if (this.#fleet.secrets.some((secret) => told.some((text) => text.includes(secret)))) {
      this.#violations.push('a secret stands in a log or in a file');
    }
  }

  #outcome(faultsMs: number): Outcome {
    const { seen, failedCalls, endings } = this.evidence;
    const slots = [...this.#fleet.slots.values()];
    return {
      seed: this.#schedule.seed,
      storage: this.#schedule.storage,
      documents: seen.reduce((sum, { sent }) => sum + sent.length, 0),
      oddDocuments: oddIn(this.#schedule),
      batches: seen.length,
      retries: seen.filter(({ isRetry }) => isRetry).length,
      faults: this.#faults.map(({ fault, ...times }) => ({ ...fault, ...times })),
      calls: this.#customers.reduce((sum, { calls }) => sum + calls, 0),
      failedCalls: failedCalls.length,
      charged: seen.reduce((sum, { output }) => sum + chargedIn(output), 0),
      peakMiB: Math.round(Math.max(0, ...slots.map((slot) => slot.peakBytes() ?? 0)) / 1024 / 1024),
      startsFailed: endings.filter(({ how }) => how === 'before_ready').length,
      longestStopMs: Math.max(0, ...endings.filter(({ how }) => how === 'terminated').map(({ ms }) => ms)),
      faultsMs,
      totalMs: this.#nowMs(),
      violations: this.#violations,
    };
  }

  #nowMs(): number {
    return Math.round(performance.now() - this.#startedAtMs);
  }
}

function oddIn({ batches }: Schedule): Record<string, number> {
  const kinds = Map.groupBy(
    batches.flatMap(({ documents }) => documents),
    (kind) => kind,
  );
  const odd = [...kinds].filter(([kind]) => !INNOCENT.includes(kind));
  return Object.fromEntries(odd.map(([kind, documents]) => [kind, documents.length]));
}

function chargedIn(lines: readonly string[]): number {
  const stages = lines.flatMap(
    (line) => (JSON.parse(line) as { cascade: { stages: { attempts: number }[] } | null }).cascade?.stages ?? [],
  );
  return stages.reduce((sum, { attempts }) => sum + Math.max(0, attempts - 1), 0);
}
