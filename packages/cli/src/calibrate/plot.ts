export type Point = { readonly x: number; readonly y: number };

type Series = {
  readonly name: string;
  readonly colour: string;
  readonly points: readonly Point[];
  readonly dashed?: boolean;
  /** Circles instead of a line; `weight` 0 to 1 is their size. */
  readonly dots?: boolean;
};

export type Plot = {
  readonly title: string;
  readonly x: string;
  readonly y: string;
  readonly yRange: readonly [number, number];
  readonly series: readonly Series[];
};

const [WIDTH, HEIGHT] = [460, 320];
const [LEFT, RIGHT, TOP, BOTTOM] = [52, 28, 12, 44];

export const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (found) => `&#${found.charCodeAt(0)};`);

const percent = (value: number): string => `${Math.round(value * 1000) / 10} %`;

/** A picture of shares over shares, both 0 to 1, as inline SVG. */
export function plotSvg({ title, x, y, yRange: [low, high], series }: Plot): string {
  const px = (value: number): number => LEFT + value * (WIDTH - LEFT - RIGHT);
  const py = (value: number): number => TOP + (1 - (value - low) / (high - low)) * (HEIGHT - TOP - BOTTOM);
  const at = ({ x: across, y: up }: Point): string =>
    `${px(across).toFixed(1)},${py(Math.min(high, Math.max(low, up))).toFixed(1)}`;
  const ticks = Array.from({ length: 6 }, (_, index) => index / 5);
  const grid = ticks.flatMap((share) => {
    const up = low + share * (high - low);
    return [
      `<line x1="${px(share)}" y1="${TOP}" x2="${px(share)}" y2="${HEIGHT - BOTTOM}" class="grid"/>`,
      `<line x1="${LEFT}" y1="${py(up)}" x2="${WIDTH - RIGHT}" y2="${py(up)}" class="grid"/>`,
      `<text x="${px(share)}" y="${HEIGHT - BOTTOM + 16}" text-anchor="middle">${percent(share)}</text>`,
      `<text x="${LEFT - 6}" y="${py(up) + 4}" text-anchor="end">${percent(up)}</text>`,
    ];
  });
  const drawn = series.map(({ points, colour, dashed, dots }) =>
    dots === true
      ? points
          .map(
            (point) =>
              `<circle cx="${at(point).split(',')[0]}" cy="${at(point).split(',')[1]}" r="4" fill="${colour}"/>`,
          )
          .join('')
      : `<polyline points="${points.map(at).join(' ')}" fill="none" stroke="${colour}" stroke-width="2"${dashed === true ? ' stroke-dasharray="5 4"' : ''}/>`,
  );
  const legend = series.map(
    ({ name, colour }) => `<span><i style="background:${colour}"></i>${escapeHtml(name)}</span>`,
  );
  return `<figure><figcaption>${escapeHtml(title)}</figcaption>
<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escapeHtml(title)}">${grid.join('')}${drawn.join('')}
<text x="${(LEFT + WIDTH - RIGHT) / 2}" y="${HEIGHT - 8}" text-anchor="middle">${escapeHtml(x)}</text>
<text transform="translate(12 ${(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" text-anchor="middle">${escapeHtml(y)}</text></svg>
<p class="legend">${legend.join('')}</p></figure>`;
}
