import { writeFile } from 'node:fs/promises';
import { readRecord, type DayRecord, type Moment, type TierMoment, type TierName } from './record.ts';

/** Draws a record: `node test/cluster/autoscaling/picture.ts RECORD.json PICTURE.svg`. */

const WIDTH = 960;
const LEFT = 64;
const RIGHT = 16;
const PLOT = WIDTH - LEFT - RIGHT;
const TOP = 66;
const REPLICAS_HEIGHT = 150;
const BACKLOG_HEIGHT = 84;
const GAP = 34;
const TIER_HEIGHT = REPLICAS_HEIGHT + BACKLOG_HEIGHT + 2 * GAP + 22;
const KEY_LINE = 22;
const KEY_COLUMNS = 3;
const TITLES: Readonly<Record<TierName, string>> = { drafter: 'Drafters (1 to 20)', expert: 'Experts (0 to 8)' };

/** In a dark scheme as legible as in a light one; a picture in a page has no other way to know. */
const STYLE = `
  svg { --back: #ffffff; --text: #1f2328; --faint: #d0d7de; --signal: #b35900; --desired: #0550ae; --ready: #54aeff; --backlog: #6e7781; --none: #ffd8d3; --held: #fff1b8; }
  @media (prefers-color-scheme: dark) {
    svg { --back: #0d1117; --text: #e6edf3; --faint: #3d444d; --signal: #f0a04b; --desired: #a5d6ff; --ready: #1f6feb; --backlog: #9198a1; --none: #5d1a16; --held: #4b3a06; }
  }
  text { font: 13px system-ui, sans-serif; fill: var(--text); }
  .title { font-size: 15px; font-weight: 600; }
  .back { fill: var(--back); }
  .grid { stroke: var(--faint); stroke-width: 1; }
  .mark { stroke: var(--text); stroke-width: 1; stroke-dasharray: 2 4; }
  .disc { fill: var(--text); }
  .number { fill: var(--back); font-size: 11px; font-weight: 700; text-anchor: middle; }
  .ready { fill: var(--ready); fill-opacity: 0.55; }
  .desired { fill: none; stroke: var(--desired); stroke-width: 2; }
  .signal { fill: none; stroke: var(--signal); stroke-width: 2; stroke-dasharray: 6 3; }
  .backlog { fill: var(--backlog); fill-opacity: 0.6; }
  .none { fill: var(--none); }
  .held { fill: var(--held); }
  .end { text-anchor: end; }
  .middle { text-anchor: middle; }`;

type Point = readonly [number, number];

/** Where a moment stands, from left to right. */
type Across = (s: number) => number;

export function draw({ moments, marks }: DayRecord): string {
  const endS = moments.at(-1)?.s ?? 1;
  const across: Across = (s) => LEFT + (s / endS) * PLOT;
  const tiers = (['drafter', 'expert'] as const).map((tier, index) =>
    drawTier(moments, { tier, across, top: TOP + index * TIER_HEIGHT }),
  );
  const bottom = TOP + 2 * TIER_HEIGHT;
  const keyTop = bottom + 6;
  const height = keyTop + Math.ceil(marks.length / KEY_COLUMNS) * KEY_LINE + 10;
  const lines = marks.map(({ s }) => line('mark', [across(s), TOP - 12], [across(s), bottom - GAP]));
  const discs = discsOf(marks.map(({ s }) => across(s)));
  const key = marks.map(({ label }, index) => {
    const x = LEFT + (index % KEY_COLUMNS) * (PLOT / KEY_COLUMNS);
    const y = keyTop + Math.floor(index / KEY_COLUMNS) * KEY_LINE + 12;
    return `${disc(x, y, index)}${text(x + 15, y + 4, label)}`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">`,
    '<title>Replicas of both tiers against the scaling signal and the backlog</title>',
    `<style>${STYLE}</style>`,
    `<rect class="back" width="${WIDTH}" height="${height}"/>`,
    legend(),
    ...tiers,
    ...lines,
    ...discs,
    ...key,
    '</svg>\n',
  ].join('\n');
}

function drawTier(
  moments: readonly Moment[],
  { tier, across, top }: { readonly tier: TierName; readonly across: Across; readonly top: number },
): string {
  const states = moments.map((moment) => ({ s: moment.s, ...moment[tier] }));
  const replicas = axis(
    states.flatMap(({ desired, ready, required }) => [desired, ready, required ?? 0]),
    { top: top + GAP, height: REPLICAS_HEIGHT },
  );
  const backlogTop = top + GAP + REPLICAS_HEIGHT + GAP;
  const backlog = axis(
    states.map((state) => state.backlog ?? 0),
    { top: backlogTop, height: BACKLOG_HEIGHT },
  );
  const bands = [...bandsOf(states, 'none'), ...bandsOf(states, 'held')].map(
    ({ kind, fromS, untilS }) =>
      `<rect class="${kind}" x="${round(across(fromS))}" y="${top + GAP}" width="${round(across(untilS) - across(fromS))}" height="${REPLICAS_HEIGHT + GAP + BACKLOG_HEIGHT}"/>`,
  );
  const stepsOf = (value: (state: TierMoment) => number | null, up: (value: number) => number): string =>
    steps(
      states.map((state) => ({ x: across(state.s), value: value(state) })),
      up,
    );
  const endX = across(states.at(-1)?.s ?? 0);
  return [
    text(LEFT, top + GAP - 12, TITLES[tier], 'title'),
    ...bands,
    replicas.grid,
    `<path class="ready" d="${closed(
      stepsOf(({ ready }) => ready, replicas.up),
      endX,
      replicas.up(0),
    )}"/>`,
    `<path class="desired" d="${stepsOf(({ desired }) => desired, replicas.up)}"/>`,
    `<path class="signal" d="${stepsOf(({ required }) => required, replicas.up)}"/>`,
    text(LEFT, backlogTop - 9, 'Backlog: documents'),
    backlog.grid,
    `<path class="backlog" d="${closed(
      stepsOf((state) => state.backlog ?? 0, backlog.up),
      endX,
      backlog.up(0),
    )}"/>`,
    minutes(states.at(-1)?.s ?? 0, across, backlogTop + BACKLOG_HEIGHT),
  ].join('\n');
}

/** A scale from 0 to a round number, with lines at 0, its half and its end. */
function axis(values: readonly number[], { top, height }: { readonly top: number; readonly height: number }) {
  const largest = Math.max(1, ...values);
  const unit = 10 ** Math.floor(Math.log10(largest));
  const end = [1, 2, 4, 5, 8, 10].map((part) => part * unit).find((value) => value >= largest) ?? largest;
  const up = (value: number): number => top + height - (value / end) * height;
  const grid = [0, end / 2, end]
    .filter((value) => Number.isInteger(value))
    .map(
      (value) =>
        line('grid', [LEFT, up(value)], [WIDTH - RIGHT, up(value)]) +
        text(LEFT - 8, up(value) + 4, value.toLocaleString('en-US'), 'end'),
    )
    .join('\n');
  return { up, grid };
}

/** The times at which there was no signal, or the tier's circuit breaker was open. */
function bandsOf(states: readonly ({ readonly s: number } & TierMoment)[], kind: 'none' | 'held') {
  const is = (state: TierMoment): boolean => (kind === 'none' ? state.required === null : state.breaker !== null);
  const bands: { kind: string; fromS: number; untilS: number }[] = [];
  for (const [index, state] of states.entries()) {
    if (!is(state)) continue;
    const untilS = states[index + 1]?.s ?? state.s;
    const last = bands.at(-1);
    if (last?.untilS === state.s) last.untilS = untilS;
    else bands.push({ kind, fromS: state.s, untilS });
  }
  return bands;
}

/** A line that keeps a value until the next one; it has a hole where there is none. */
function steps(
  values: readonly { readonly x: number; readonly value: number | null }[],
  up: (value: number) => number,
): string {
  let path = '';
  let isOpen = false;
  for (const { x, value } of values) {
    if (value === null) {
      if (isOpen) path += `H${round(x)}`;
      isOpen = false;
      continue;
    }
    path += isOpen ? `H${round(x)}V${round(up(value))}` : `M${round(x)} ${round(up(value))}`;
    isOpen = true;
  }
  return path;
}

const closed = (path: string, endX: number, zeroY: number): string => `${path}H${round(endX)}V${round(zeroY)}H${LEFT}Z`;

function minutes(endS: number, across: Across, y: number): string {
  const every = endS > 900 ? 5 : 2;
  const marks = Array.from({ length: Math.floor(endS / 60 / every) + 1 }, (_, index) => index * every);
  return marks
    .map((minute) => text(across(minute * 60), y + 18, minute === 0 ? '0 min' : `${minute}`, 'middle'))
    .join('');
}

function legend(): string {
  const entries = [
    ['signal: replicas that the API says are required', 'signal', 360],
    ['desired: the Deployment', 'desired', 210],
    ['ready workers', 'ready', 130],
  ] as const;
  let x = LEFT;
  const lines = entries.map(([label, kind, width]) => {
    const at = x;
    x += width;
    const sign =
      kind === 'ready'
        ? `<rect class="ready" x="${at}" y="12" width="24" height="12"/>`
        : `<path class="${kind}" d="M${at} 18h24"/>`;
    return sign + text(at + 31, 22, label);
  });
  const bands = [
    ['none', 'no signal (503)'],
    ['held', 'circuit breaker open'],
  ].map(
    ([kind, label], index) =>
      `<rect class="${kind}" x="${LEFT + index * 180}" y="32" width="24" height="12"/>${text(LEFT + index * 180 + 31, 42, label ?? '')}`,
  );
  return [...lines, ...bands].join('\n');
}

/** Numbers above the plots, moved apart where two would touch. */
function discsOf(xs: readonly number[]): string[] {
  let last = -Infinity;
  return xs.map((x, index) => {
    last = Math.max(x, last + 18);
    return disc(last, TOP - 8, index);
  });
}

const disc = (x: number, y: number, index: number): string =>
  `<circle class="disc" cx="${round(x)}" cy="${y}" r="8.5"/>${text(x, y + 4, `${index + 1}`, 'number')}`;

const line = (kind: string, [x, y]: Point, [toX, toY]: Point): string =>
  `<line class="${kind}" x1="${round(x)}" y1="${round(y)}" x2="${round(toX)}" y2="${round(toY)}"/>`;

const text = (x: number, y: number, content: string, kind = ''): string =>
  `<text x="${round(x)}" y="${round(y)}"${kind === '' ? '' : ` class="${kind}"`}>${content.replaceAll('&', '&amp;').replaceAll('<', '&lt;')}</text>`;

const round = (value: number): number => Math.round(value * 10) / 10;

if (import.meta.main) {
  const [record, picture] = process.argv.slice(2);
  if (record === undefined || picture === undefined) throw new Error('picture.ts RECORD.json PICTURE.svg');
  await writeFile(picture, draw(await readRecord(record)));
}
