import { verdictOf, type Figure } from './figure.ts';
import { shown, shownAim } from './table.ts';

const WIDTH = 960;
const LINE = 46;
const TOP = 64;
const LEFT = 380;
const RIGHT = 150;

export const MET = '#1a7f37';
export const MISSED = '#b35900';
export const INK = '#24292f';
export const FAINT = '#8c959f';

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

type Anchor = 'start' | 'end';
export const text = (x: number, y: number, said: string, fill: string, anchor: Anchor = 'start', size = 13): string =>
  `<text x="${x}" y="${y}" fill="${fill}" text-anchor="${anchor}" font-size="${size}">${escaped(said)}</text>`;

const number = (value: number): string => value.toFixed(1);

/**
 * The figures as a picture: for each its ratio over its aim, from the least to the most of the rounds with the median on
 * it, on a logarithmic scale. What is on the green side of the line is as aimed: right of it where more is better, and the
 * scale of a figure of which less is better is turned round.
 */
export function pictureOf(title: string, subtitle: string, figures: readonly Figure[]): string {
  const measured = figures.filter(({ rounds }) => rounds.length > 0);
  const lines = measured.map((figure) => {
    const { aim } = figure;
    const { ratio, isMet } = verdictOf(figure);
    const over = (value: number): number => ('atLeast' in aim ? value / aim.atLeast : aim.atMost / value);
    const ends = [over(ratio.least), over(ratio.most)].toSorted((left, right) => left - right);
    return { figure, ratio, isMet, middle: over(ratio.median), ends };
  });
  const most = Math.max(2, ...lines.flatMap(({ ends }) => ends.map((end) => Math.max(end, 1 / end))));
  const middleX = LEFT + (WIDTH - LEFT - RIGHT) / 2;
  const x = (over: number): number => middleX + (Math.log(over) / Math.log(most)) * ((WIDTH - LEFT - RIGHT) / 2 - 10);
  const height = TOP + lines.length * LINE + 40;
  const drawn = lines.map(({ figure, ratio, isMet, middle, ends: [from = 1, to = 1] }, at) => {
    const y = TOP + at * LINE + 20;
    const colour = isMet === true ? MET : MISSED;
    return [
      text(16, y, figure.figure, INK),
      text(16, y + 15, `against ${figure.reference}`, FAINT, 'start', 11),
      `<line x1="${number(x(from))}" x2="${number(x(to))}" y1="${y}" y2="${y}" stroke="${colour}" stroke-width="4" stroke-linecap="round"/>`,
      `<circle cx="${number(x(middle))}" cy="${y}" r="6" fill="${colour}"/>`,
      text(WIDTH - 16, y, `${shown(ratio.median)} ×`, colour, 'end', 14),
      text(WIDTH - 16, y + 15, `aim ${shownAim(figure.aim)}`, FAINT, 'end', 11),
    ].join('\n');
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="system-ui, sans-serif">
<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>
${text(16, 26, title, INK, 'start', 18)}
${text(16, 44, subtitle, FAINT, 'start', 11)}
<line x1="${middleX}" x2="${middleX}" y1="${TOP}" y2="${height - 28}" stroke="${FAINT}" stroke-dasharray="3 3"/>
${text(middleX + 6, height - 14, 'as aimed →', MET, 'start', 11)}
${text(middleX - 6, height - 14, '← not yet', MISSED, 'end', 11)}
${drawn.join('\n')}
</svg>
`;
}
