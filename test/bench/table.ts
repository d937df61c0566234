import { verdictOf, type Aim, type Figure, type Spread } from './figure.ts';

/** A number with three digits that count, and thousands apart. */
export function shown(value: number): string {
  if (!Number.isFinite(value)) return '–';
  const digits = value === 0 ? 0 : Math.floor(Math.log10(Math.abs(value)));
  const decimals = Math.max(0, Math.min(3, 2 - digits));
  return value.toLocaleString('en-US', { maximumFractionDigits: decimals, minimumFractionDigits: 0 });
}

export const shownAim = (aim: Aim): string => ('atLeast' in aim ? `≥ ${aim.atLeast} ×` : `≤ ${aim.atMost} ×`);

const shownRatio = ({ median, least, most }: Spread): string =>
  Number.isFinite(median) ? `${median.toFixed(2)} × (${least.toFixed(2)} … ${most.toFixed(2)})` : 'not measured';

const HEAD = ['figure', 'measured', 'reference', '', 'ratio: median (least … most)', 'aim', 'met'] as const;

/** The table of aims, a line for each figure, with its notes below it. */
export function tableOf(figures: readonly Figure[]): string {
  const rows = figures.map((figure) => {
    const { measured, reference, ratio, isMet } = verdictOf(figure);
    return {
      cells: [
        figure.figure,
        `${shown(measured.median)} ${figure.unit}`,
        `${shown(reference.median)} ${figure.unit}`,
        figure.reference,
        shownRatio(ratio),
        shownAim(figure.aim),
        isMet === null ? '–' : isMet ? 'yes' : 'no',
      ],
      notes: figure.notes,
    };
  });
  const widths = HEAD.map((head, at) => Math.max(head.length, ...rows.map(({ cells }) => cells[at]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd();
  return [
    line(HEAD),
    line(widths.map((width) => '─'.repeat(width))),
    ...rows.flatMap(({ cells, notes }) => [line(cells), ...notes.map((note) => `    ${note}`)]),
  ].join('\n');
}
