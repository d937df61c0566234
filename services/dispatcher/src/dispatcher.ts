import { randomUUID } from 'node:crypto';
import { openBoard, Queues, releaseLease, renewLease } from '@spillway/redis';
import { pause, serveHealth, type Life } from '@spillway/runtime';
import { openProvedStorage } from '@spillway/storage';
import type { DispatcherConfig } from './config.ts';
import { BatchRecords, Troubles, type Desk } from './desk.ts';
import { showGauges } from './gauges.ts';
import { Hooks } from './hooks/hooks.ts';
import { lead } from './leader.ts';

/** Runs a dispatcher: leads while it holds the lease, else stands by. */
export async function runDispatcher(config: DispatcherConfig, life: Life): Promise<void> {
  const storage = await openProvedStorage(config.storage);
  life.defer(() => storage[Symbol.asyncDispose]());
  const board = await openBoard({ address: config.redis, namespace: config.namespace, log: life.log });
  life.defer(() => board[Symbol.asyncDispose]());
  const queues = new Queues(board);
  life.defer(() => queues[Symbol.asyncDispose]());
  const troubles = new Troubles(life.telemetry.meters);
  const hooks = new Hooks(config.hooks, { storage, troubles, log: life.log });
  const records = new BatchRecords(storage);
  const desk: Desk = {
    board,
    queues,
    storage,
    records,
    hooks,
    troubles,
    limits: config.limits,
    telemetry: life.telemetry,
    log: life.log,
  };
  const token = randomUUID();
  const state = { leading: false, beatAtMs: Date.now() };
  const work = standOrLead(desk, token, config, life, state);
  life.defer(() => work);
  showGauges(life.telemetry.meters, desk, state);
  // Shown from the start: what is first seen at 1 has not increased.
  life.telemetry.meters.count('cascade.recoveries', 0);
  let healthPort: number | null = null;
  if (config.healthPort !== null) {
    const detail = () => (state.leading ? 'leading' : 'standing by');
    const probes = {
      live: () => {
        const stalledMs = Date.now() - state.beatAtMs;
        return stalledMs > STALLED_MS + config.leaseMs
          ? { ok: false, detail: `${detail()}: nothing moved for ${stalledMs} ms` }
          : { ok: true, detail: detail() };
      },
      ready: () => ({ ok: true, detail: detail() }),
    };
    const health = await serveHealth({ host: config.host, port: config.healthPort }, probes, life.telemetry.meters);
    healthPort = health.port;
    life.defer(() => health[Symbol.asyncDispose]());
  }
  life.ready({ namespace: config.namespace, healthPort });
}

/** Stepping down waits for what is under way, such as a slice of a recovery; longer than this, something hangs. */
const STALLED_MS = 120_000;

/** What the probes are told. */
type DispatcherState = { leading: boolean; beatAtMs: number };

/** Takes the lease whenever it is free, and leads until it is lost or the process stops. */
async function standOrLead(
  desk: Desk,
  token: string,
  config: DispatcherConfig,
  life: Life,
  state: DispatcherState,
): Promise<void> {
  let lost = new AbortController();
  let leading: Promise<void> | null = null;
  const stepDown = async (): Promise<void> => {
    lost.abort('lease lost');
    await leading;
    leading = null;
    state.leading = false;
  };
  while (!life.signal.aborted) {
    state.beatAtMs = Date.now();
    // Without Redis nobody can lead; the loops meet its absence themselves and wait.
    const held = await renewLease(desk.board, token, config.leaseMs).catch(() => leading !== null);
    if (held && leading === null) {
      lost = new AbortController();
      const signal = AbortSignal.any([lost.signal, life.signal]);
      desk.log.info('leading');
      state.leading = true;
      leading = lead(desk, token, config.rhythm, signal).catch((error: unknown) => {
        if (!signal.aborted) desk.log.error({ err: error }, 'leading failed');
        lost.abort('failed');
      });
    } else if (leading !== null && (!held || lost.signal.aborted)) {
      desk.log.warn('standing by');
      await stepDown();
    }
    await pause(config.leaseMs / 3, life.signal);
  }
  await stepDown();
  await releaseLease(desk.board, token).catch(() => undefined);
}
