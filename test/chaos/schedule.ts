import { Dice } from './dice.ts';
import { kindsOf, MODELS, type DocumentKind, type ModelName } from './documents.ts';
import { wantedOf, type Wanted } from './wishes.ts';

/** The processes of a system, two of each service. */
export const PROCESSES = ['api', 'dispatcher', 'drafter', 'expert'].flatMap((name) => [`${name}-0`, `${name}-1`]);
const APIS = PROCESSES.filter((name) => name.startsWith('api'));
const WORKERS = PROCESSES.filter((name) => name.startsWith('drafter') || name.startsWith('expert'));

/** What is done to the system. Whatever has a duration heals by itself after it. */
export type Infliction =
  | { readonly kind: 'kill' | 'terminate'; readonly process: string; readonly forMs: number }
  | { readonly kind: 'freeze'; readonly process: string; readonly forMs: number }
  | { readonly kind: 'clock'; readonly process: string; readonly byMs: number; readonly forMs: number }
  | { readonly kind: 'die_at'; readonly moment: string; readonly forMs: number }
  | { readonly kind: 'redis_wiped' | 'redis_moved' | 'redis_reset' }
  | { readonly kind: 'redis_restarted' | 'redis_emptied' | 'redis_stalled' | 'redis_frozen'; readonly forMs: number }
  | { readonly kind: 'redis_tail_lost'; readonly bytes: number; readonly forMs: number }
  | { readonly kind: 'redis_slow' | 'storage_slow'; readonly delayMs: number; readonly forMs: number }
  | { readonly kind: 'storage_full' | 'storage_failing'; readonly every: number; readonly forMs: number }
  | { readonly kind: 'model_status'; readonly model: ModelName; readonly status: number; readonly forMs: number }
  | { readonly kind: 'model_moved' | 'model_reset'; readonly model: ModelName }
  | { readonly kind: ModelOutage; readonly model: ModelName; readonly forMs: number }
  /** A client that sends millions of empty requests; one that sends its bodies a byte at a time. */
  | { readonly kind: 'client_flood'; readonly process: string }
  | { readonly kind: 'client_dribble'; readonly process: string; readonly forMs: number }
  | { readonly kind: 'cancel'; readonly batch: number }
  | { readonly kind: 'rolling_restart' };

/**
 * What a model server does for a while: it is away, says nothing, holds its calls, answers with rubbish or with a gateway's
 * page, is shutting down, answers late, or its packets are dropped.
 */
type ModelOutage =
  | 'model_dead'
  | 'model_half_open'
  | 'model_hanging'
  | 'model_garbage'
  | 'model_gateway'
  | 'model_terminating'
  | 'model_slow'
  | 'model_stalled';

export type FaultKind = Infliction['kind'];

/** `at`: the share of all documents that is settled when it comes; a system that stands still gets it a little later. */
export type Fault = { readonly at: number } & Infliction;

export type BatchPlan = Wanted & {
  readonly tenant: 'one' | 'two';
  /** The share of all documents that is settled when it is submitted. */
  readonly at: number;
  readonly documents: readonly DocumentKind[];
  /** Whether what is in its error file is asked for again when it has ended. */
  readonly isRetried: boolean;
  /** How long it is paused once some of it is settled; null: it is not. */
  readonly pausedMs: number | null;
};

export type Schedule = {
  readonly seed: number;
  readonly storage: 'directory' | 's3';
  /** A rolling restart, in which no call of a client and no document may fail. */
  readonly isCalm: boolean;
  readonly batches: readonly BatchPlan[];
  readonly faults: readonly Fault[];
};

/** How often each kind comes beside the others. */
const WEIGHTS: Readonly<Record<Exclude<FaultKind, 'rolling_restart'>, number>> = {
  kill: 14,
  terminate: 6,
  freeze: 9,
  clock: 6,
  die_at: 3,
  redis_wiped: 6,
  redis_moved: 2,
  redis_reset: 4,
  redis_restarted: 3,
  redis_emptied: 3,
  redis_stalled: 6,
  redis_frozen: 3,
  redis_tail_lost: 4,
  redis_slow: 3,
  storage_full: 5,
  storage_failing: 4,
  storage_slow: 3,
  model_status: 10,
  model_moved: 2,
  model_reset: 4,
  model_dead: 5,
  model_half_open: 4,
  model_hanging: 3,
  model_garbage: 3,
  model_gateway: 3,
  model_terminating: 3,
  model_slow: 2,
  model_stalled: 3,
  client_flood: 1,
  client_dribble: 2,
  cancel: 5,
};

/** Moments of a dispatcher's writing at which it may die; see test/support/die-at.ts. */
const MOMENTS = [
  'before link pages',
  'after link pages',
  'after link ending',
  'before link final',
  'after link validated',
];

const STATUSES = [500, 502, 503, 429, 504, 529];
/** Seconds, minutes, an hour; and more than the longest window. */
const JUMPS_MS = [5_000, 90_000, 3_600_000, 8 * 86_400_000];

const MIN_DOCUMENTS = 200;
/** A schedule in so many has a rolling restart in place of its faults; another has S3 for its storage. */
const CALM_SHARE = 0.04;
const S3_SHARE = 0.05;
/** One in so many has a document whose calls take their server down. */
const DEADLY_SHARE = 0.04;
/** One batch in so many is paused for a while. */
const PAUSED_SHARE = 0.2;
/** Make other dice of a seed. */
const WISH_SALT = 0x5eed;
const PAUSE_SALT = 0xca1b;

/** What a seed does: pure, so that a seed that failed can be replayed. */
export function scheduleOf(seed: number): Schedule {
  const dice = new Dice(seed);
  const isCalm = dice.chance(CALM_SHARE);
  const storage = dice.chance(S3_SHARE) ? 's3' : 'directory';
  // By dice of their own: what a seed did before it had wishes it does still.
  const wishes = new Dice(seed ^ WISH_SALT);
  const pauses = new Dice(seed ^ PAUSE_SALT);
  const batches = batchesOf(dice, isCalm).map((batch): BatchPlan => ({
    ...batch,
    ...wantedOf(wishes),
    pausedMs: !isCalm && pauses.chance(PAUSED_SHARE) ? pauses.between(200, 4_000) : null,
  }));
  if (isCalm) return { seed, storage, isCalm, batches, faults: [{ at: 0.05, kind: 'rolling_restart' }] };
  const faults = Array.from({ length: dice.between(5, 9) }, () => ({
    at: Math.round(dice.share() * 95) / 100,
    ...inflictionOf(dice, batches.length),
  }));
  return { seed, storage, isCalm, batches, faults: faults.toSorted((left, right) => left.at - right.at) };
}

/** The same without some kinds of faults and documents: what is known to fail, until it is mended. */
export function withoutKinds(schedule: Schedule, kinds: ReadonlySet<string>): Schedule {
  return {
    ...schedule,
    batches: schedule.batches.map((batch) => ({
      ...batch,
      documents: batch.documents.map((kind) => (kinds.has(kind) ? 'small' : kind)),
    })),
    faults: schedule.faults.filter(({ kind }) => !kinds.has(kind)),
  };
}

function batchesOf(dice: Dice, isCalm: boolean): Omit<BatchPlan, keyof Wanted | 'pausedMs'>[] {
  // More than a page, so that results are seen before the end; or many small ones.
  const sizes = dice.chance(0.75) ? [dice.between(257, 330)] : [dice.between(80, 120), dice.between(80, 120)];
  for (let more = dice.between(1, 4); more > 0; more -= 1) sizes.push(dice.between(1, 40));
  const missing = MIN_DOCUMENTS - sizes.reduce((sum, size) => sum + size, 0);
  if (missing > 0) sizes.push(missing);
  const batches = sizes.map((size, index) => ({
    tenant: dice.pick(['one', 'two'] as const),
    at: index === 0 || dice.chance(0.4) ? 0 : Math.round(dice.share() * 60) / 100,
    documents: kindsOf(dice, size, isCalm),
    isRetried: !isCalm && dice.chance(0.3),
  }));
  const [first] = batches;
  if (!isCalm && first !== undefined && dice.chance(DEADLY_SHARE)) {
    first.documents[dice.between(0, first.documents.length - 1)] = 'deadly';
  }
  return batches;
}

function inflictionOf(dice: Dice, batches: number): Infliction {
  const kind = dice.weighted(WEIGHTS);
  const model = dice.pick(MODELS);
  switch (kind) {
    case 'kill':
    case 'terminate':
      return { kind, process: dice.pick(PROCESSES), forMs: dice.between(0, 1_500) };
    case 'freeze':
      return { kind, process: dice.pick(PROCESSES), forMs: dice.between(300, 4_500) };
    case 'clock': {
      const byMs = dice.pick(JUMPS_MS) * dice.pick([-1, 1]);
      return { kind, process: dice.pick(WORKERS), byMs, forMs: dice.between(500, 5_000) };
    }
    case 'die_at':
      return { kind, moment: dice.pick(MOMENTS), forMs: 2_000 };
    case 'redis_wiped':
    case 'redis_moved':
    case 'redis_reset':
      return { kind };
    case 'redis_tail_lost':
      return { kind, bytes: dice.between(1, 60_000), forMs: dice.between(0, 1_000) };
    case 'redis_slow':
      return { kind, delayMs: dice.between(5, 80), forMs: dice.between(500, 3_000) };
    case 'storage_slow':
      return { kind, delayMs: dice.between(50, 600), forMs: dice.between(500, 3_000) };
    case 'storage_full':
    case 'storage_failing':
      return { kind, every: dice.between(1, 3), forMs: dice.between(300, 3_000) };
    case 'model_status':
      return { kind, model, status: dice.pick(STATUSES), forMs: dice.between(200, 2_500) };
    case 'model_moved':
    case 'model_reset':
      return { kind, model };
    case 'client_flood':
      return { kind, process: dice.pick(APIS) };
    case 'client_dribble':
      return { kind, process: dice.pick(APIS), forMs: dice.between(500, 4_000) };
    case 'cancel':
      return { kind, batch: dice.between(0, batches - 1) };
    case 'redis_restarted':
    case 'redis_emptied':
    case 'redis_stalled':
    case 'redis_frozen':
      return { kind, forMs: dice.between(100, 3_500) };
    case 'model_dead':
    case 'model_half_open':
    case 'model_hanging':
    case 'model_garbage':
    case 'model_gateway':
    case 'model_terminating':
    case 'model_slow':
    case 'model_stalled':
      return { kind, model, forMs: dice.between(200, 2_500) };
  }
}
