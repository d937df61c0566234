import type { Configuration } from '@spillway/core';
import type { Board, Witness } from '@spillway/redis';
import type { Calibrations, Log, Telemetry } from '@spillway/runtime';
import type { Storage } from '@spillway/storage';
import type { Accounts } from './batches/account.ts';
import type { DirectTiers } from './direct/tiers.ts';
import type { Records } from './records.ts';
import type { Tenants } from './tenants.ts';

/** What the routes work with. */
export type Api = {
  readonly storage: Storage;
  readonly board: Board;
  readonly records: Records;
  readonly tenants: Tenants;
  readonly accounts: Accounts;
  readonly log: Log;
  readonly telemetry: Telemetry;
  readonly witness: Witness;
  readonly configuration: Configuration;
  readonly calibrations: Calibrations;
  readonly configuredAtMs: number;
  readonly direct: DirectTiers;
  /** Origins whose pages may call; `*` is any. */
  readonly corsOrigins: readonly string[];
  readonly limits: {
    readonly uploadBytes: number;
    readonly uploadIdleMs: number;
  };
};
