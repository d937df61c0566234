import {
  EnvReader,
  healthPlace,
  inputLimits,
  loadConfiguration,
  storageAddress,
  type Env,
  type HealthPlace,
  type InputLimits,
} from '@spillway/runtime';
import type { Intervals } from './lead.ts';
import { webhookTargets, type WebhookTarget } from './webhooks/target.ts';

export type DispatcherConfig = {
  readonly redis: string;
  readonly namespace: string;
  readonly storage: string;
  /** Of probes and metrics; null for none. */
  readonly health: HealthPlace | null;
  readonly leaseMs: number;
  readonly webhooks: readonly WebhookTarget[];
  readonly limits: InputLimits;
  readonly intervals: Intervals;
};

/** Reads the dispatcher's environment; throws one SetupError with all its problems. */
export function readConfig(env: Env): DispatcherConfig {
  const reader = new EnvReader(env);
  // Only its webhooks matter to a dispatcher: a batch's rules are in its manifest.
  const configuration = reader.text('SPILLWAY_CONFIG') === null ? null : loadConfiguration(reader);
  const config: DispatcherConfig = {
    redis: reader.text('REDIS_URL') ?? 'redis://127.0.0.1:6379',
    namespace: reader.text('SPILLWAY_NAMESPACE') ?? 'spillway',
    storage: storageAddress(reader),
    health: healthPlace(reader),
    leaseMs: reader.integer('SPILLWAY_LEASE_MS', { fallback: 10_000, min: 300, max: 600_000 }),
    webhooks: configuration === null ? [] : webhookTargets(reader, configuration),
    limits: inputLimits(reader),
    intervals: {
      pollMs: reader.integer('SPILLWAY_POLL_MS', { fallback: 100, min: 5, max: 60_000 }),
      recoveryMs: reader.integer('SPILLWAY_RECOVERY_MS', { fallback: 500, min: 5, max: 60_000 }),
      sweepMs: reader.integer('SPILLWAY_SWEEP_MS', { fallback: 15_000, min: 50, max: 3_600_000 }),
      garbageMs: reader.integer('SPILLWAY_GARBAGE_MS', { fallback: 3_600_000, min: 50, max: 86_400_000 }),
    },
  };
  reader.check();
  return config;
}
