/** What a tier has before it, as far as it is known now. */
export type TierLoad = {
  /** Documents in its queue, due later and worked on. */
  readonly waiting: number;
  readonly delayed: number;
  readonly active: number;
  /** A drafter's documents that are not fed yet, and can be. */
  readonly unfed: number;
  /** An expert's: documents still to be drafted, and the share of them that will come over. */
  readonly toDraft: number;
  readonly escalatedShare: number;
  /** Documents per second that the drafters before it make; null: not known, or none runs. */
  readonly draftRate: number | null;
  /** What one document takes of a slot, in seconds, as measured. */
  readonly secondsPerDocument: number;
  /** Calls at a time of one replica. */
  readonly concurrency: number;
  /** Replicas that are there now. */
  readonly replicas: number;
  /** Why its gate is closed; null: it is open. */
  readonly gate: string | null;
  /** Why all its replicas wait, each for a model server of its own; null: one of them does not. */
  readonly resting: string | null;
};

/** What an operator wants of a tier. */
export type ScalingTarget = {
  /** In which time what waits is to be worked off. */
  readonly drainSeconds: number;
  /** How long a new replica takes until it works. */
  readonly coldStartSeconds: number;
  readonly most: number;
};

export type Scaling = {
  /** Replicas that the tier needs. */
  readonly required: number;
  /** Documents that it has before it, those that will come over among them. */
  readonly backlog: number;
  readonly inFlight: number;
  /** Documents per second. */
  readonly ratePerReplica: number;
  /** Why nobody works: the gate is closed, or all replicas wait for model servers of their own. */
  readonly gate: string | null;
  readonly reason: string;
};

/** Replicas that wait for model servers of their own and cannot all be on an unsound node: more would wait with them. */
const RESTING_TOGETHER = 3;

/** A tier grows only when it lacks more than this part of a replica, and shrinks only when this share of it would do. */
const LACKING = 0.1;
const ENOUGH = 0.8;

/**
 * How many replicas a tier needs: enough to work off its backlog in the wished time. An expert's backlog has in it what
 * its drafters will send over until a replica that starts now has done its first work, so that slow starters begin in
 * time. While the gate is closed nothing more is asked for, but one stays that can open it. Where the few replicas that
 * there are wait for model servers of their own, one more is asked for: it brings another server, perhaps on a sound
 * node. Small changes of the backlog change nothing: between growing and shrinking lies a fifth of a replica and more.
 */
export function scalingOf(load: TierLoad, target: ScalingTarget): Scaling {
  const { active, gate, resting, replicas } = load;
  const ratePerReplica = load.concurrency / Math.max(1e-6, load.secondsPerDocument);
  const coming = Math.round(load.escalatedShare * comingDrafts(load, target));
  const backlog = load.waiting + load.delayed + active + load.unfed + coming;
  const shared = { backlog, inFlight: active, ratePerReplica, gate: gate ?? resting };
  if (backlog === 0) return { ...shared, required: 0, reason: 'nothing to do' };
  const bounded = (count: number): number => Math.max(1, Math.min(target.most, count));
  if (gate !== null) return { ...shared, required: bounded(replicas), reason: `held: ${gate}` };
  if (resting !== null) {
    const another = replicas < RESTING_TOGETHER;
    const reason = `${another ? 'one more' : 'held'}, as all ${replicas} wait: ${resting}`;
    return { ...shared, required: bounded(another ? replicas + 1 : replicas), reason };
  }
  const wanted = backlog / (ratePerReplica * target.drainSeconds);
  const up = Math.ceil(wanted - LACKING);
  const down = Math.ceil(wanted / ENOUGH);
  const required = bounded(up > replicas ? Math.ceil(wanted) : Math.min(replicas, down));
  const perSecond = Math.round(ratePerReplica * 100) / 100;
  const reason = `${backlog} documents in ${target.drainSeconds} s at ${perSecond}/s each`;
  return { ...shared, required, reason };
}

/** The drafts that are made until a replica that starts now has worked for the wished time. */
function comingDrafts({ toDraft, draftRate }: TierLoad, { drainSeconds, coldStartSeconds }: ScalingTarget): number {
  return draftRate === null ? toDraft : Math.min(toDraft, draftRate * (drainSeconds + coldStartSeconds));
}
