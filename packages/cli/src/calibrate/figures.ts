import type { Judgement } from './judge.ts';
import { plotSvg, type Point } from './plot.ts';
import type { Bin } from './reliability.ts';
import type { MeasuredRow, ThresholdRow } from './thresholds.ts';

const BLUE = '#2563eb';
const GREY = '#999';

/** The pictures of a calibration; those that need the expert's accuracy only where it is known. */
export function figures(judgement: Judgement): string {
  const { curves } = judgement;
  const ofBoth = curves === null ? [] : [deferral(judgement, curves), money(judgement)];
  return [reliability(judgement), ...ofBoth, risk(judgement)].join('');
}

function reliability({ before, after, confidences, labels }: Judgement): string {
  const dots = (bins: readonly Bin[], isCounted: boolean) =>
    bins.map(({ confidence, right, interval, count }) => ({
      x: confidence,
      y: right,
      ...(isCounted ? { interval, label: `${count}` } : {}),
    }));
  return plotSvg({
    title: 'Reliability: of drafts this sure, so many are right (bars: 95 %; numbers: drafts)',
    x: 'confidence',
    y: 'right',
    yRange: [0, 1],
    series: [
      {
        kind: 'columns',
        name: 'drafts this sure, as a share of all',
        colour: '#6b7280',
        heights: confidences.map((count) => count / labels.total),
      },
      {
        kind: 'line',
        name: 'as it should be',
        colour: GREY,
        dashed: true,
        points: [
          { x: 0, y: 0 },
          { x: 1, y: 1 },
        ],
      },
      ...(before === null
        ? []
        : [{ kind: 'dots', name: 'before', colour: '#d97706', points: dots(before.reliability, false) } as const]),
      { kind: 'dots', name: 'after', colour: BLUE, points: dots(after.reliability, true) },
    ],
  });
}

/** The rows that a user looks for: what is recommended, or else what serves the wish, and what holds today. */
function marks({ verdict, chosen, today }: Judgement, place: (row: ThresholdRow) => Point | null) {
  const mark = (row: MeasuredRow | null, named: { name: string; colour: string; label: string }) => {
    const point = row === null ? null : place(row);
    if (point === null) return [];
    const { label, ...own } = named;
    return [{ kind: 'dots', ...own, points: [{ ...point, label }] } as const];
  };
  return [
    ...mark(verdict.recommended ?? chosen, { name: 'chosen', colour: '#dc2626', label: 'chosen' }),
    ...mark(today, { name: 'today', colour: '#7c3aed', label: 'today' }),
  ];
}

function lowest({ curves, drafter_accuracy: drafter, thresholds }: Judgement): number {
  const seen = [...(curves?.signal ?? []), ...thresholds].flatMap(({ accuracy }) => accuracy ?? []);
  return Math.max(0, Math.floor(Math.min(...seen, drafter) * 20) / 20 - 0.05);
}

function deferral(judgement: Judgement, curves: NonNullable<Judgement['curves']>): string {
  const curve = (points: readonly { escalated: number; accuracy: number }[]): Point[] =>
    points.map(({ escalated, accuracy }) => ({ x: escalated, y: accuracy }));
  return plotSvg({
    title: 'Deferral: accuracy over the share that goes to the expert',
    x: 'escalated',
    y: 'accuracy',
    yRange: [lowest(judgement), 1],
    series: [
      { kind: 'line', name: 'knowing beforehand', colour: '#16a34a', dashed: true, points: curve(curves.oracle) },
      { kind: 'line', name: 'this signal', colour: BLUE, points: curve(curves.signal) },
      { kind: 'line', name: 'at random', colour: GREY, dashed: true, points: curve(curves.random) },
      ...marks(judgement, ({ escalated, accuracy }) => (accuracy === null ? null : { x: escalated, y: accuracy })),
    ],
  });
}

/** Accuracy over money, beside a lottery that sends some documents to the expert and the others to the drafter. */
function money(judgement: Judgement): string {
  const {
    thresholds,
    all_expert_usd_per_1000: expertUsd,
    drafter_accuracy: drafter,
    expert_accuracy: expert,
  } = judgement;
  const point = ({ usd_per_1000: usd, accuracy }: ThresholdRow): Point | null =>
    usd === null || accuracy === null ? null : { x: usd, y: accuracy };
  const points = thresholds.flatMap((row) => point(row) ?? []);
  const first = points[0];
  if (first === undefined || expertUsd === null || expert === null) return '';
  const most = Math.max(expertUsd, ...points.map(({ x }) => x), 1e-12);
  return plotSvg({
    title: 'Money: accuracy over what 1,000 documents cost',
    x: 'US dollars per 1,000 documents',
    y: 'accuracy',
    xRange: [0, most],
    xTick: (value) => (value === 0 ? '0' : value.toPrecision(2)),
    yRange: [lowest(judgement), 1],
    series: [
      { kind: 'line', name: 'this signal', colour: BLUE, points },
      {
        kind: 'line',
        name: 'drafter or expert by lot',
        colour: GREY,
        dashed: true,
        points: [
          { x: first.x, y: drafter },
          { x: expertUsd, y: expert },
        ],
      },
      {
        kind: 'dots',
        name: 'the expert alone',
        colour: '#111827',
        points: [{ x: expertUsd, y: expert, label: 'expert' }],
      },
      ...marks(judgement, point),
    ],
  });
}

const risk = ({ risk_coverage: points }: Judgement): string =>
  plotSvg({
    title: 'Risk: wrong ones among the drafts that are accepted',
    x: 'accepted (the surest first)',
    y: 'wrong',
    yRange: [0, Math.max(0.05, Math.ceil(20 * Math.max(...points.map((point) => point.risk))) / 20)],
    series: [
      {
        kind: 'line',
        name: 'this signal',
        colour: BLUE,
        points: points.map(({ coverage, risk: wrong }) => ({ x: coverage, y: wrong })),
      },
    ],
  });
