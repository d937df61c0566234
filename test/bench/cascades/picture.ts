import { median } from '../figure.ts';
import { FAINT, INK, MET, MISSED, text } from '../picture.ts';
import { shown } from '../table.ts';
import type { PlaceMeasured, WayMeasured } from './measure.ts';
import { perThousand, type Spread } from './tally.ts';

/** A value of a way, from the least to the most that it may be; null: it has none. */
type Bar = { readonly low: number; readonly middle: number; readonly high: number } | null;

type Panel = {
  readonly title: string;
  readonly unit: string;
  /** Where the axis begins: at zero, or below the least value. */
  readonly from: 'zero' | 'least';
  readonly bar: (way: WayMeasured) => Bar;
};

const LEFT = 220;
const PANEL = 240;
const GAP = 30;
const LINE = 30;
const TOP = 108;

/** Ways below one another, and beside each what was measured of it: a panel for each figure, with its own axis. */
function panelsOf(title: string, subtitle: string, ways: readonly WayMeasured[], panels: readonly Panel[]): string {
  const width = LEFT + panels.length * (PANEL + GAP);
  const height = TOP + ways.length * LINE + 12;
  const names = ways.map(({ name }, at) => text(16, TOP + at * LINE + 5, name, INK));
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif">
<rect width="${width}" height="${height}" fill="#ffffff"/>
${text(16, 26, title, INK, 'start', 18)}
${subtitle
  .split('\n')
  .map((line, at) => text(16, 44 + at * 15, line, FAINT, 'start', 11))
  .join('\n')}
${names.join('\n')}
${panels.map((panel, at) => panelOf(panel, ways, LEFT + at * (PANEL + GAP))).join('\n')}
</svg>
`;
}

const at = (value: number): string => value.toFixed(1);

function panelOf({ title, unit, from, bar }: Panel, ways: readonly WayMeasured[], left: number): string {
  const bars = ways.map(bar);
  const known = bars.filter((one) => one !== null);
  const most = Math.max(...known.map(({ high }) => high));
  const least = from === 'zero' ? 0 : Math.min(...known.map(({ low }) => low));
  // Room for the number behind the longest bar.
  const x = (value: number): number => left + ((value - least) / (most - least || 1)) * (PANEL - 62);
  const drawn = bars.map((one, index) => {
    const y = TOP + index * LINE;
    if (one === null) return text(left, y + 5, '–', FAINT);
    const { low, middle, high } = one;
    const bodies =
      from === 'zero'
        ? `<rect x="${left}" y="${y - 5}" width="${at(x(middle) - left)}" height="10" fill="${MET}" opacity="0.35"/>`
        : '';
    return [
      bodies,
      `<line x1="${at(x(low))}" x2="${at(x(high))}" y1="${y}" y2="${y}" stroke="${MISSED}" stroke-width="2" stroke-linecap="round"/>`,
      `<circle cx="${at(x(middle))}" cy="${y}" r="4" fill="${MET}"/>`,
      text(Math.round(x(high)) + 8, y + 5, `${shown(middle)}${unit}`, INK, 'start', 12),
    ].join('');
  });
  return [text(left, TOP - 20, title, INK), ...drawn].join('\n');
}

const PERCENT = 100;

const ACCURACY: Panel = {
  title: 'accuracy, 95 % interval',
  unit: ' %',
  from: 'least',
  bar: ({ rounds: [first] }) => {
    if (first === undefined) return null;
    const { count, of, low, high } = first.right;
    return { low: PERCENT * low, middle: (PERCENT * count) / of, high: PERCENT * high };
  },
};

const single = (value: number): Bar => ({ low: value, middle: value, high: value });

const TOKENS: readonly Panel[] = [
  {
    title: 'expert writes, 1,000 tokens',
    unit: '',
    from: 'zero',
    bar: ({ rounds }) => single(median(rounds.map(({ expert }) => expert.outputTokens)) / 1_000),
  },
  {
    title: 'expert reads, 1,000 tokens',
    unit: '',
    from: 'zero',
    bar: ({ rounds }) => single(median(rounds.map(({ expert }) => expert.inputTokens)) / 1_000),
  },
  {
    title: 'money, $ for 1,000 documents',
    unit: '',
    from: 'zero',
    bar: ({ rounds }) => single(median(rounds.map(perThousand))),
  },
];

/** From the median to the 95th percentile, in seconds. */
const spread = (title: string, of: (way: WayMeasured['rounds'][number]) => Spread): Panel => ({
  title,
  unit: ' s',
  from: 'zero',
  bar: ({ rounds }) => {
    const known = rounds.map(of).filter((one) => one !== null);
    const [p50, p95] = [median(known.map((one) => one.p50)) / 1_000, median(known.map((one) => one.p95)) / 1_000];
    return known.length === 0 ? null : { low: p50, middle: p50, high: p95 };
  },
});

const TIMES: readonly Panel[] = [
  spread('sequential wait, p50 to p95', ({ sequentialMs }) => sequentialMs),
  spread('hand-off to answer, p50 to p95', ({ toAnswerMs }) => toAnswerMs),
  {
    title: 'makespan, least to most',
    unit: ' s',
    from: 'zero',
    bar: ({ rounds }) => {
      const all = rounds.map(({ makespanS }) => makespanS);
      return { low: Math.min(...all), middle: median(all), high: Math.max(...all) };
    },
  },
];

export const workPicture = ({ ways }: PlaceMeasured, subtitle: string): string =>
  panelsOf('What each way answers, and what it takes', subtitle, ways, [ACCURACY, ...TOKENS]);

export const timePicture = ({ ways }: PlaceMeasured, subtitle: string): string =>
  panelsOf('How long each way takes', subtitle, ways, TIMES);
