import { median } from '../figure.ts';
import { shown } from '../table.ts';
import type { PlaceMeasured, WayMeasured } from './measure.ts';
import { perThousand, type Share, type Spread, type Tally } from './tally.ts';

type Column = { readonly head: string; readonly cell: (way: WayMeasured) => string };

const percent = (share: number): string => (100 * share).toFixed(1);

const shareWithInterval = ({ count, of, low, high }: Share): string =>
  `${percent(count / of)} % (${percent(low)} … ${percent(high)})`;

const middle = ({ rounds }: WayMeasured, of: (tally: Tally) => number): number => median(rounds.map(of));

const tokens = (head: string, of: (tally: Tally) => number): Column => ({
  head,
  cell: (way) => Math.round(middle(way, of)).toLocaleString('en-US'),
});

/** Of the first round: what is answered does not depend on how long it took. */
const share = (head: string, of: (tally: Tally) => Share): Column => ({
  head,
  cell: ({ rounds: [first] }) => (first === undefined || of(first).of === 0 ? '–' : shareWithInterval(of(first))),
});

const money = (head: string, of: (tally: Tally) => number): Column => ({
  head,
  cell: (way) => `$${middle(way, of).toPrecision(3)}`,
});

/** The medians of the rounds' quantiles, in seconds. */
const times = (head: string, of: (tally: Tally) => Spread): Column => ({
  head,
  cell: ({ rounds }) => {
    const known = rounds.map(of).filter((one) => one !== null);
    const at = (quantile: 'p50' | 'p95'): string => shown(median(known.map((one) => one[quantile])) / 1_000);
    return known.length === 0 ? '–' : `${at('p50')}, ${at('p95')}`;
  },
});

const WORK: readonly Column[] = [
  { head: 'way', cell: ({ name }) => name },
  share('accuracy (95 %)', ({ right }) => right),
  share('as the expert by itself', ({ asExpert }) => asExpert),
  { head: 'escalated', cell: ({ rounds: [first] }) => String(first?.escalatedAsExpert.of ?? '–') },
  tokens('expert reads', ({ expert }) => expert.inputTokens),
  tokens('expert writes', ({ expert }) => expert.outputTokens),
  tokens('drafter writes', ({ drafter }) => drafter.outputTokens),
  tokens('of them wasted', ({ wasted }) => wasted),
  money('money for 1,000', perThousand),
];

/** Where servers say what they had in their caches. */
const CACHED = money('cached input at its price', ({ usdWithCache, right }) =>
  perThousand({ usd: usdWithCache, right }),
);

const TIME: readonly Column[] = [
  { head: 'way', cell: ({ name }) => name },
  times('sequential wait, s: p50, p95', ({ sequentialMs }) => sequentialMs),
  times("expert's queue and calls, s", ({ queueAndCallsMs }) => queueAndCallsMs),
  times('slow path from hand-off to answer, s', ({ toAnswerMs }) => toAnswerMs),
  {
    head: 'makespan, s (least … most)',
    cell: ({ rounds }) => {
      const all = rounds.map(({ makespanS }) => makespanS);
      return `${shown(median(all))} (${shown(Math.min(...all))} … ${shown(Math.max(...all))})`;
    },
  },
];

/** A table in Markdown: a line for each way. */
function markdown(columns: readonly Column[], ways: readonly WayMeasured[]): string {
  const cells = [columns.map(({ head }) => head), ...ways.map((way) => columns.map(({ cell }) => cell(way)))];
  const widths = columns.map((_, at) => Math.max(...cells.map((row) => row[at]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    `| ${row.map((one, at) => one.padEnd(widths[at] ?? 0)).join(' | ')} |`;
  const [head = [], ...rows] = cells;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n');
}

export const workTable = ({ place, ways }: PlaceMeasured): string =>
  markdown(place === 'gpu' ? [...WORK, CACHED] : WORK, ways);

export const timeTable = ({ ways }: PlaceMeasured): string => markdown(TIME, ways);

/** What one must know of a place to read its tables. */
export function notesOf({ ways, differing }: PlaceMeasured): string[] {
  const asked = ways.flatMap(({ name, rounds: [first] }) => {
    const others = Object.entries(first?.asked ?? {}).filter(([how]) => how.includes(': '));
    return others.map(([how, count]) => `${name}: ${count} × ${how}`);
  });
  const changed = ways.flatMap(({ name, changedDecisions: count }) =>
    count === null || count === 0 ? [] : [`${name}: ${count} decisions otherwise than in the plain cascade`],
  );
  const unstable = ways.flatMap(({ name, unstable: count }) =>
    count === 0 ? [] : [`${name}: ${count} documents were not answered alike in all rounds`],
  );
  const inside = ways.flatMap(({ name, rounds: [first] }) =>
    first?.readInside == null
      ? []
      : [`${name}: inside an engine the expert would read ${first.readInside.toLocaleString('en-US')} tokens`],
  );
  const waited = ways.flatMap(({ name, servers }) => {
    const count = servers.reduce((sum, did) => sum + (did?.drafter.waited ?? 0) + (did?.expert.waited ?? 0), 0);
    return count === 0 ? [] : [`${name}: ${count} calls waited for the pair, beyond the servers' time`];
  });
  const others = differing.map(
    ({ customId, round, own, answer, draft, keptCharacters, asked: how }) =>
      `verify, round ${round + 1}, ${customId} (${how}, ${keptCharacters} characters kept of ${draft}): ${answer} instead of ${own}`,
  );
  return [...asked, ...changed, ...unstable, ...inside, ...waited, ...others];
}
