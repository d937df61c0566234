import { readFile, writeFile } from 'node:fs/promises';
import type { ServiceName } from '../../support/service.ts';
import { signal } from '../../support/signal.ts';
import type { Kubernetes } from './kubernetes.ts';
import type { PodProcesses } from './pod-processes.ts';

export const TIERS = { drafter: 'drafter/small', expert: 'expert/large' } as const;
export type TierName = keyof typeof TIERS;

/** A tier at one moment. The signal is null while the API has none: Redis recovers, or is not there. */
export type TierMoment = {
  /** What the Deployment is to have. */
  readonly desired: number;
  /** Workers that are ready. */
  readonly ready: number;
  readonly required: number | null;
  readonly backlog: number | null;
  readonly breaker: string | null;
};

export type Moment = { readonly s: number } & Readonly<Record<TierName, TierMoment>>;
export type Mark = { readonly s: number; readonly label: string };
export type DayRecord = {
  readonly moments: readonly Moment[];
  readonly marks: readonly Mark[];
  readonly summary: Readonly<Record<string, unknown>>;
};

type Sources = { readonly kubernetes: Kubernetes; readonly pods: PodProcesses };

/** Both tiers as they are now: what the signal says, what Kubernetes made of it, and who is there. */
export async function readMoment(sources: Sources, s: number): Promise<Moment> {
  const [drafter, expert] = await Promise.all([readTier(sources, 'drafter'), readTier(sources, 'expert')]);
  return { s, drafter, expert };
}

async function readTier({ kubernetes, pods }: Sources, tier: TierName): Promise<TierMoment> {
  const api = pods.one('api' satisfies ServiceName);
  const [desired, answer] = await Promise.all([
    kubernetes.replicas(tier),
    api === null ? null : signal(api, TIERS[tier]).catch(() => null),
  ]);
  const body = answer?.status === 200 ? answer.body : null;
  return {
    desired,
    ready: pods.ready(tier),
    required: body?.required ?? null,
    backlog: body?.backlog ?? null,
    breaker: body?.breaker ?? null,
  };
}

/** One moment a line, so that a record can be read and compared. */
export async function writeRecord(path: string, { moments, marks, summary }: DayRecord): Promise<void> {
  const lines = moments.map((moment) => `    ${JSON.stringify(moment)}`).join(',\n');
  const head = `  "summary": ${JSON.stringify(summary)},\n  "marks": ${JSON.stringify(marks)},\n`;
  await writeFile(path, `{\n${head}  "moments": [\n${lines}\n  ]\n}\n`);
}

export async function readRecord(path: string): Promise<DayRecord> {
  return JSON.parse(await readFile(path, 'utf8')) as DayRecord;
}
