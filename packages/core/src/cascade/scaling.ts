/** What a tier has before it, as far as it is known now. */
export type TierLoad = {
  /** Documents in its queue, due later and worked on. */
  readonly waiting: number;
  readonly delayed: number;
  readonly active: number;
  /** Documents that are not enqueued yet, and can be, of cascades that begin with it. */
  readonly notEnqueued: number;
  /** The tiers that hand off to it, with what they have still to answer. */
  readonly upstream: readonly Upstream[];
  /** What it has to answer for each batch until its window ends; absent: nothing that is known. */
  readonly due?: readonly Due[];
  /** How long one document keeps one call of a worker busy, in seconds, as measured. */
  readonly secondsPerDocument: number;
  /** Calls at a time of one replica. */
  readonly concurrency: number;
  /** Replicas that are there now. */
  readonly replicas: number;
  /** Why its circuit breaker is open; null: it is closed. */
  readonly breaker: string | null;
  /** Why all its replicas pause, each for a model server of its own; null: one of them does not. */
  readonly paused: string | null;
};

/** Documents of a batch that a tier has still to answer, those that will come to it among them. */
export type Due = { readonly documents: number; readonly seconds: number };

/** A tier before the one in question; both figures are in documents that come to that one. */
export type Upstream = {
  /** Of the documents that the tier has itself, those that are expected to come. */
  readonly documents: number;
  /** As many as the tier can let through; null: not known, or nobody works there. */
  readonly perSecond: number | null;
  /** The tiers that hand off to it: what comes from them comes through it. */
  readonly upstream: readonly Upstream[];
};

/** What an operator wants of a tier. */
export type ScalingTarget = {
  /** In which time what waits is to be worked off. */
  readonly drainSeconds: number;
  /** How long a new replica takes until it works. */
  readonly coldStartSeconds: number;
  readonly maxReplicas: number;
};

export type Scaling = {
  /** Replicas that the tier needs. */
  readonly required: number;
  /** Documents that it has before it, those that will come over among them. */
  readonly backlog: number;
  readonly inFlight: number;
  /** Documents per second. */
  readonly ratePerReplica: number;
  /** Why nobody works: the circuit breaker is open, or all replicas wait for model servers of their own. */
  readonly breaker: string | null;
  readonly reason: string;
};

/** Replicas that wait for model servers of their own and cannot all be on an unsound node: more would wait with them. */
const MAX_PAUSED_REPLICAS = 3;

/** A batch is to be done by so much of what is left of its window: nobody knows what else will come. */
const SAFE_SHARE = 0.75;

/** A tier grows only when it lacks more than this part of a replica, and shrinks only when this share of it would do. */
const LACKING = 0.1;
const ENOUGH = 0.8;

/**
 * How many replicas a tier needs: enough to work off its backlog in the wished time. The backlog of a later stage has in
 * it what the stages before will hand off until a replica that starts now has done its first work, so that slow starters
 * begin in time. While the breaker is open nothing more is asked for, but one replica stays that can probe the server.
 * Where windows end before that time, it needs as many as keep them, the earliest first (what is due by any moment, by the
 * time until then), as far as a replica that starts now still can.
 * Where the few replicas that there are wait for model servers of their own, one more is asked for: it brings another
 * server, perhaps on a sound node. Small changes of the backlog change nothing: between growing and shrinking lies a fifth
 * of a replica and more.
 */
export function scalingOf(load: TierLoad, target: ScalingTarget): Scaling {
  const { active, breaker, paused, replicas } = load;
  const ratePerReplica = load.concurrency / Math.max(1e-6, load.secondsPerDocument);
  const coming = Math.round(comingDocuments(load.upstream, target.drainSeconds + target.coldStartSeconds));
  const backlog = load.waiting + load.delayed + active + load.notEnqueued + coming;
  const shared = { backlog, inFlight: active, ratePerReplica, breaker: breaker ?? paused };
  if (backlog === 0) return { ...shared, required: 0, reason: 'nothing to do' };
  const bounded = (count: number): number => Math.max(1, Math.min(target.maxReplicas, count));
  if (breaker !== null) return { ...shared, required: bounded(replicas), reason: `held: ${breaker}` };
  if (paused !== null) {
    const another = replicas < MAX_PAUSED_REPLICAS;
    const reason = `${another ? 'one more' : 'held'}, as all ${replicas} wait: ${paused}`;
    return { ...shared, required: bounded(another ? replicas + 1 : replicas), reason };
  }
  const patient = backlog / target.drainSeconds;
  const { perSecond: urgent, documents: dueDocuments, seconds: dueSeconds } = mostUrgent(load.due ?? [], target);
  const isUrgent = urgent > patient;
  const wanted = Math.max(patient, urgent) / ratePerReplica;
  const up = Math.ceil(wanted - LACKING);
  const down = Math.ceil(wanted / ENOUGH);
  const required = bounded(up > replicas ? Math.ceil(wanted) : Math.min(replicas, down));
  const perSecond = Math.round(ratePerReplica * 100) / 100;
  const reason = isUrgent
    ? `${Math.round(dueDocuments)} documents are due in ${Math.round(dueSeconds)} s at ${perSecond}/s each`
    : `${backlog} documents in ${target.drainSeconds} s at ${perSecond}/s each`;
  return { ...shared, required, reason };
}

/** The moment until which most documents a second are to be answered, so that what is due by then is done. */
function mostUrgent(due: readonly Due[], { coldStartSeconds }: ScalingTarget): Due & { readonly perSecond: number } {
  let most = { documents: 0, seconds: 0, perSecond: 0 };
  let documents = 0;
  for (const one of due.toSorted((left, right) => left.seconds - right.seconds)) {
    documents += one.documents;
    const leftSeconds = one.seconds * SAFE_SHARE - coldStartSeconds;
    const perSecond = leftSeconds > 0 ? documents / leftSeconds : 0;
    if (perSecond > most.perSecond) most = { documents, seconds: one.seconds, perSecond };
  }
  return most;
}

/** What is handed off within so many seconds: no tier lets more through than it can answer, whoever it comes from. */
function comingDocuments(upstream: readonly Upstream[], seconds: number): number {
  return upstream.reduce((sum, { documents, perSecond, upstream: before }) => {
    const all = documents + comingDocuments(before, seconds);
    return sum + (perSecond === null ? all : Math.min(all, perSecond * seconds));
  }, 0);
}
