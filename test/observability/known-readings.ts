import assert from 'node:assert/strict';
import { statfs } from 'node:fs/promises';
import { VERSION } from '@spillway/runtime';
import type { Service } from '../support/service.ts';
import type { ResultLine, System } from '../support/system.ts';

/** What the dashboard must say of a system, from what is known of it otherwise: its result lines, its logs, its model servers. */

export const serviceOf = (system: System, name: string): Service => {
  const found = system.services.find((one) => one.name === name);
  assert.ok(found !== undefined);
  return found;
};

/** How often each name is among them. */
function counted(names: readonly string[]): Record<string, number> {
  return Object.fromEntries(
    Object.entries(Object.groupBy(names, (name) => name)).map(([name, all]) => [name, all?.length ?? 0]),
  );
}

export const sum = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0);

/** A number that is not known to the last digit. */
type Range = readonly [least: number, most: number];
export type Known = Readonly<Record<string, number | Range>>;

const bounds = [0, ...[1, 2, 5].flatMap((digit) => [-3, -2, -1, 0, 1].map((decade) => digit * 10 ** decade))].toSorted(
  (left, right) => left - right,
);

/** Between the bounds of a histogram that the quantile of these milliseconds lies between; they are whole ones. */
function quantileRange(ms: readonly number[], quantile: number): Range {
  const rank = ms.toSorted((left, right) => left - right)[Math.max(0, Math.ceil(quantile * ms.length) - 1)] ?? 0;
  const least = bounds.findLast((bound) => bound < (rank - 1) / 1_000) ?? 0;
  return [least, bounds.find((bound) => bound >= (rank + 1) / 1_000) ?? 100];
}

const usd = ({ usage }: { usage: { input_tokens: number; output_tokens: number } }): number =>
  (usage.input_tokens + 2 * usage.output_tokens) / 1e6;

/** The lines have whole milliseconds of each document. */
function delaysOf(
  stages: readonly { readonly tier: string; readonly wait_ms: { readonly delays?: object | undefined } }[],
): Known {
  const delays = stages.flatMap(({ tier, wait_ms: { delays: own = {} } }) =>
    Object.entries(own).map(([reason, ms]) => ({ name: `${tier} ${reason}`, ms: Number(ms) })),
  );
  return Object.fromEntries(
    Object.entries(Object.groupBy(delays, ({ name }) => name)).map(([name, all = []]) => {
      const ms = sum(all.map((one) => one.ms));
      return [name, [Math.max(0, ms - all.length) / 1_000, (ms + all.length) / 1_000] as const];
    }),
  );
}

/** What the result lines say that the panels of documents, tiers and money have to say. */
function knownOf(lines: readonly ResultLine[]): Record<string, Known> {
  const read = lines.map(({ cascade, error, response }) => {
    assert.ok(cascade !== undefined);
    return { ...cascade, outcome: error === null && response?.status_code === 200 ? 'completed' : 'failed' };
  });
  const stages = read.flatMap(({ stages: reached }) =>
    reached.map((stage, index) => ({ ...stage, tier: `${stage.role}.${stage.model}`, at: index + 1 })),
  );
  const escalated = stages.filter(({ reason }) => reason !== null);
  const quantiles = (name: string, ms: readonly number[]): Known =>
    ms.length === 0 ? {} : { [`${name} median`]: quantileRange(ms, 0.5), [`${name} p95`]: quantileRange(ms, 0.95) };
  const ofTiers = (value: (ofTier: typeof stages) => number): Record<string, number> =>
    Object.fromEntries(
      Object.entries(Object.groupBy(stages, ({ tier }) => tier)).map(([tier, all = []]) => [tier, value(all)]),
    );
  const tokens = (direction: 'input' | 'output'): Known =>
    Object.fromEntries(
      Object.entries(ofTiers((all) => sum(all.map(({ usage }) => usage[`${direction}_tokens`])))).map(
        ([tier, count]) => [`${tier} ${direction}`, count],
      ),
    );
  const sequential = read.flatMap(({ wait_ms: { sequential: ms } }) => (ms === null ? [] : [ms]));
  const waits = ['drafter.small', 'expert.large'].map((tier) =>
    quantiles(
      tier,
      stages.flatMap((one) => (one.tier === tier ? [one.wait_ms.queue ?? 0] : [])),
    ),
  );
  const durations = [1, 2].map((last) =>
    quantiles(
      `test: stage ${last}`,
      read.flatMap(({ stage, wait_ms: wait }) => (stage === last ? [wait.total ?? 0] : [])),
    ),
  );
  return {
    'Documents per second': counted(read.map(({ stage, outcome }) => `test: stage ${stage} ${outcome}`)),
    'Escalated share': { 'test: stage 1': escalated.length / read.length },
    'Why documents escalate': counted(escalated.map(({ at, reason }) => `test: stage ${at} ${reason}`)),
    'Sequential wait': quantiles('test', sequential),
    'From enqueueing to the answer': Object.assign({}, ...durations) as Known,
    'Money per hour': { ...ofTiers((all) => sum(all.map(usd))), 'drafts not accepted': sum(escalated.map(usd)) },
    'Queue wait': Object.assign({}, ...waits) as Known,
    'Other waits': delaysOf(stages),
    'Tokens per second': { ...tokens('input'), ...tokens('output') },
  };
}

/** What a system in which all that can go wrong has gone wrong must say, by what is known of it otherwise. */
export async function knownOfTrouble(
  system: System,
  seen: { lines: readonly ResultLine[]; maxBytes: number; from: { readonly line: number; readonly call: number } },
): Promise<Record<string, Known>> {
  const api = serviceOf(system, 'api');
  const dispatcher = serviceOf(system, 'dispatcher');
  const statuses = api.lines
    .slice(seen.from.line)
    .flatMap(({ msg, status }) => (msg === 'request' ? [String(status)] : []));
  const failures = dispatcher.lines.filter(({ msg }) => msg === 'a step failed for this batch and is repeated');
  const recoveries = dispatcher.lines.filter(({ msg, done }) => msg?.startsWith('recovered what') && done === true);
  const failed = counted(failures.map(({ step }) => `failed: ${String(step)}`));
  const disk = await statfs(system.directory);
  const answered = (status: number): number =>
    system.expertModel.requests
      .slice(seen.from.call)
      .filter(({ body }) => JSON.stringify(body).includes(`[[expert ${status}]]`)).length;
  const [, used = ''] = /^used_memory:(\d+)/m.exec(await system.redis.client.info('memory')) ?? [];
  const jobs: Known = Object.fromEntries(system.services.map(({ name }) => [name, [0.000001, 1e10] as const]));
  const some: Range = [1, 1e6];
  return {
    ...knownOf(seen.lines),
    'Queue depth': { 'drafter.small active': 1 },
    'In flight, and the concurrency limit': {
      'drafter.small': 1,
      'drafter.small limit': [1, 16],
      'expert.large limit': [1, 16],
    },
    'Model calls': Object.fromEntries(
      ['drafter.small small', 'expert.large large'].flatMap((name) =>
        ['median', 'p95'].map((which) => [`${name} ${which}`, [0, 20]]),
      ),
    ) as unknown as Known,
    'Model calls that fail': {
      'drafter.small small 503': 1,
      'drafter.small small 500': 1,
      'expert.large large 500': answered(500),
      'expert.large large unreachable': [0, 1e6],
    },
    'Circuit breakers': { 'drafter.small openings': [0, 9], 'expert.large openings': [0, 9] },
    'Workers that connected anew': {},
    'Batches in work': { open: 2 },
    'Not yet enqueued': { documents: 5 },
    'Completion window used': { window: [0.9, 0.92] },
    'Pages in flight': { bytes: some },
    'Audits that alarm': {},
    'Redis memory': { used: [Number(used) * 0.95, Number(used) * 1.05], maxmemory: seen.maxBytes },
    'Sealed, ended, recovered, failed steps': {
      'pages sealed': 2,
      'batches completed': 2,
      recoveries: [1, recoveries.length],
      ...Object.fromEntries(Object.entries(failed).map(([name, most]) => [name, [1, most]])),
    },
    'API requests': counted(statuses),
    'API time': Object.fromEntries(
      [
        ...new Set(
          api.lines.slice(seen.from.line).flatMap(({ msg, route }) => (msg === 'request' ? [String(route)] : [])),
        ),
      ].map((route) => [`${route} p95`, [0, 20]]),
    ) as unknown as Known,
    Leaders: { 'leading dispatchers': 1 },
    'Event loop busy': jobs,
    Memory: jobs,
    'Spans that were dropped': { queue_full: [0, 1e6], rejected: [0, 1e6] },
    'Longest that the event loop stood still': { ...jobs, api: [1, 60] },
    'Storage that is free': {
      free: [Math.max(0, disk.bavail / disk.blocks - 0.1), Math.min(1, disk.bavail / disk.blocks + 0.1)],
    },
    Versions: Object.fromEntries(system.services.map(({ name }) => [`${name} ${VERSION}`, 1])),
  };
}
