import { releaseLease, renewLease, type RedisStore } from '@spillway/redis';
import { pause, type Health, type Log } from '@spillway/runtime';

/** Stepping down waits for what is under way, such as a slice of a recovery; longer than this, something hangs. */
const MAX_STEP_DOWN_MS = 120_000;

export type LeadershipOptions = {
  readonly redis: RedisStore;
  /** Names this process as the lease's holder. */
  readonly token: string;
  readonly leaseMs: number;
  readonly log: Log;
  /** Does the leader's work until its signal is aborted. */
  readonly lead: (signal: AbortSignal) => Promise<void>;
};

/**
 * Whether this dispatcher leads. The lease is economy: correctness does not rest on there being one leader.
 *
 *     standing by ──lease taken──▶ leading ──lease lost, or the work failed──▶ standing by
 */
export class Leadership {
  readonly #options: LeadershipOptions;
  #isLeading = false;
  #checkedAtMs = Date.now();

  constructor(options: LeadershipOptions) {
    this.#options = options;
  }

  get isLeading(): boolean {
    return this.#isLeading;
  }

  /** For the liveness probe: not ok once nothing has moved for so long that something hangs. */
  health(): Health {
    const detail = this.#isLeading ? 'leading' : 'standing by';
    const stalledMs = Date.now() - this.#checkedAtMs;
    return stalledMs > MAX_STEP_DOWN_MS + this.#options.leaseMs
      ? { ok: false, detail: `${detail}: nothing moved for ${stalledMs} ms` }
      : { ok: true, detail };
  }

  /** Takes the lease whenever it is free, and leads until it is lost or the process stops. */
  async run(stopping: AbortSignal): Promise<void> {
    const { redis, token, leaseMs, log } = this.#options;
    let lost = new AbortController();
    let leading: Promise<void> | null = null;
    const stepDown = async (): Promise<void> => {
      lost.abort('lease lost');
      await leading;
      leading = null;
      this.#isLeading = false;
    };
    while (!stopping.aborted) {
      this.#checkedAtMs = Date.now();
      // Without Redis nobody can lead; the leader's loops meet its absence themselves and wait.
      const isHeld = await renewLease(redis, token, leaseMs).catch(() => leading !== null);
      if (isHeld && leading === null) {
        lost = new AbortController();
        leading = this.#lead(lost, stopping);
      } else if (leading !== null && (!isHeld || lost.signal.aborted)) {
        log.info('standing by');
        await stepDown();
      }
      await pause(leaseMs / 3, stopping);
    }
    await stepDown();
    await releaseLease(redis, token).catch(() => undefined);
  }

  /** Leads; a failure that is not the end of the process counts as a lost lease. */
  async #lead(lost: AbortController, stopping: AbortSignal): Promise<void> {
    const signal = AbortSignal.any([lost.signal, stopping]);
    const { redis, log } = this.#options;
    log.info('leading');
    this.#isLeading = true;
    try {
      await this.#options.lead(signal);
    } catch (error) {
      if (!signal.aborted && !redis.outage.explains(error)) log.error({ err: error }, 'leading failed');
      lost.abort('failed');
    }
  }
}
