import { draftToHandOff, isAskedAlone, type DocumentJob, type TierFacts } from '@spillway/core';
import { FORGET_CLOSED_AFTER_MS, PROBE_MS, TOGETHER_MS } from './breaker.ts';
import { Script } from './script.ts';
import type { RedisStore } from './store.ts';
import { Together } from './together.ts';

const startScript = new Script('start', 'has_left', 'taken_field', 'may_ask', 'take_up', 'broke_together');
const writeScript = new Script('write_job');
const leaveScript = new Script('leave');

/** What is to be done with a job that was taken up; `ms`: for PROBE until when it probes, for WAIT for how long. */
export type Started = TierFacts & {
  readonly state: 'GO' | 'PROBE' | 'WAIT' | 'ALONE' | 'ALREADY' | 'CLOSED' | 'PAUSED' | 'GONE' | 'RECOVERING';
  readonly ms: number;
  /** When a worker took it up that was lost since, by Redis' clock; null: none was. */
  readonly lostSinceMs: number | null;
  /** The places of its documents that have a result already, or another job. */
  readonly settled: readonly number[];
  /** Which rules of the batch hold now; '': those of its manifest. */
  readonly rulesVersion: string;
};

/** What a worker says when it takes up a job. */
export type Taking = {
  readonly priority: number;
  /** When this worker was last answered, and when the latest answered call began, if the tier is to know; else null. */
  readonly answered: { readonly atMs: number; readonly begunAtMs: number } | null;
  /** How long its call may take. */
  readonly callMs: number;
  /** How often a worker was lost that had it. */
  readonly losses: number;
};

/** A worker of a tier took up a job of its documents: which still are to be done, and whether the model may be asked. */
export async function startJob(
  redis: RedisStore,
  { tier, id }: Pick<HeldJob, 'tier' | 'id'>,
  documents: readonly [DocumentJob, ...DocumentJob[]],
  taking: Taking,
): Promise<Started> {
  const { keys, scripts } = redis;
  const { priority, answered, callMs, losses } = taking;
  const [job, ...more] = documents;
  const names = [
    keys.epoch,
    keys.batch(job.batch),
    keys.sealed(job.batch),
    keys.page(job.batch, job.page),
    keys.startTags(tier),
    keys.breaker(tier),
    `${keys.jobs(tier)}${id}`,
    keys.broken(tier),
    keys.audits(tier),
  ];
  const asksModel = documents.some((one) => draftToHandOff(one) === null) ? '1' : '0';
  const isAlone = more.length === 0 && isAskedAlone(job);
  const args = [
    job.page,
    documents.map(({ place }) => place).join(','),
    priority,
    PROBE_MS,
    asksModel,
    FORGET_CLOSED_AFTER_MS,
    answered?.atMs ?? '',
    isAlone ? id : '',
    callMs,
    answered?.begunAtMs ?? '',
    losses,
    id,
    job.unproven?.failedAtMs ?? '',
    TOGETHER_MS,
    job.audit === undefined ? '' : '1',
  ];
  const answer = (await startScript.run(scripts, names, args)) as StartAnswer;
  const [
    state,
    ms = 0,
    nowMs = 0,
    closedAtMs = 0,
    workedAtMs = 0,
    lostSinceMs = 0,
    together = 0,
    settled = [],
    version = '',
  ] = answer;
  return {
    state,
    ms,
    nowMs,
    closedAtMs,
    workedAtMs,
    lostSinceMs: lostSinceMs === 0 ? null : lostSinceMs,
    brokeTogether: together === 1,
    settled,
    rulesVersion: version,
  };
}

type StartAnswer = [
  state: Started['state'],
  ms?: number,
  nowMs?: number,
  closedAtMs?: number,
  workedAtMs?: number,
  lostSinceMs?: number,
  together?: number,
  settled?: number[],
  rulesVersion?: string,
];

/** A job that a worker has, with its lock token. */
export type HeldJob = { readonly tier: string; readonly id: string; readonly token: string };

/** Where a document stands in a job that a worker has: `data` where the job is its own, else `bundledField`. */
export type DocumentField = { readonly held: HeldJob; readonly field: string };

/** Whether a document was written into a job; GONE: Redis lost the job, or it is not this worker's any more. */
export type Written = 'SAVED' | 'GONE';

/** Writes a document as changed into its job, if that is still the worker's. */
export async function writeDocument(
  redis: RedisStore,
  { held, field }: DocumentField,
  changed: DocumentJob,
): Promise<Written> {
  const args = [held.token, field, JSON.stringify(changed)];
  return (await writeScript.run(redis.scripts, lockedKeys(redis, held), args)) as Written;
}

type Leaving = { readonly held: HeldJob; readonly places: readonly number[] };

/** What became of a note that documents have left their bundle; GONE: the bundle is not this worker's any more. */
type Left = 'LEFT' | 'GONE';

/** Documents that leave the bundles that a worker holds; of one bundle those that are there together. */
export class Leavings {
  readonly #redis: RedisStore;
  readonly #together: Together<Leaving, Left>;

  constructor(redis: RedisStore) {
    this.#redis = redis;
    this.#together = new Together({
      run: (leavings) => this.#leave(leavings as readonly [Leaving, ...Leaving[]]),
      groupOf: ({ held: { tier, id, token } }) => `${tier} ${id} ${token}`,
      bytesOf: () => 0,
    });
  }

  /** Notes in a bundle that documents have left it for jobs of their own; who takes it up next has nothing to do with them. */
  leave(held: HeldJob, places: readonly number[]): Promise<Left> {
    return this.#together.ask({ held, places });
  }

  async #leave(leavings: readonly [Leaving, ...Leaving[]]): Promise<Left[]> {
    const [{ held }] = leavings;
    const args = [held.token, leavings.flatMap(({ places }) => places).join(',')];
    const left = (await leaveScript.run(this.#redis.scripts, lockedKeys(this.#redis, held), args)) as Left;
    return leavings.map(() => left);
  }
}

/** The fields of a job as they stand in Redis. */
export async function readJobFields(
  redis: RedisStore,
  { tier, id }: Pick<HeldJob, 'tier' | 'id'>,
): Promise<Record<string, string>> {
  return await redis.client.hgetall(`${redis.keys.jobs(tier)}${id}`);
}

/** A job that a worker has, and its lock. */
export function lockedKeys({ keys }: RedisStore, { tier, id }: HeldJob): string[] {
  const key = `${keys.jobs(tier)}${id}`;
  return [key, `${key}:lock`];
}
