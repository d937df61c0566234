export type Point = { readonly x: number; readonly y: number };

/** A circle with what may be written beside it, and the interval that it stands in. */
type Dot = Point & { readonly label?: string; readonly interval?: readonly [number, number] };

type Named = { readonly name: string; readonly colour: string };

type Series = Named &
  (
    | { readonly kind: 'line'; readonly points: readonly Point[]; readonly dashed?: boolean }
    | { readonly kind: 'dots'; readonly points: readonly Dot[] }
    /** Columns of equal width over the whole of x; their heights are y. */
    | { readonly kind: 'columns'; readonly heights: readonly number[] }
  );

export type Plot = {
  readonly title: string;
  readonly x: string;
  readonly y: string;
  /** 0 to 1 and shares, unless it is said. */
  readonly xRange?: readonly [number, number];
  readonly xTick?: (value: number) => string;
  readonly yRange: readonly [number, number];
  readonly series: readonly Series[];
};

const [WIDTH, HEIGHT] = [460, 320];
const [LEFT, RIGHT, TOP, BOTTOM] = [52, 28, 12, 44];

export const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (found) => `&#${found.charCodeAt(0)};`);

const percent = (value: number): string => `${Math.round(value * 1000) / 10} %`;

/** Where a point lies in the picture. */
type Places = { readonly px: (x: number) => number; readonly py: (y: number) => number };

/** A picture as inline SVG; y is a share. */
export function plotSvg({ title, x, y, xRange = [0, 1], xTick = percent, yRange, series }: Plot): string {
  const [[left, right], [low, high]] = [xRange, yRange];
  const within = (value: number, from: number, to: number): number =>
    (Math.min(to, Math.max(from, value)) - from) / (to - from);
  const px = (value: number): number => LEFT + within(value, left, right) * (WIDTH - LEFT - RIGHT);
  const py = (value: number): number => TOP + (1 - within(value, low, high)) * (HEIGHT - TOP - BOTTOM);
  const ticks = Array.from({ length: 6 }, (_, index) => index / 5);
  const grid = ticks.flatMap((share) => {
    const up = low + share * (high - low);
    const across = left + share * (right - left);
    return [
      `<line x1="${px(across)}" y1="${TOP}" x2="${px(across)}" y2="${HEIGHT - BOTTOM}" class="grid"/>`,
      `<line x1="${LEFT}" y1="${py(up)}" x2="${WIDTH - RIGHT}" y2="${py(up)}" class="grid"/>`,
      `<text x="${px(across)}" y="${HEIGHT - BOTTOM + 16}" text-anchor="middle">${xTick(across)}</text>`,
      `<text x="${LEFT - 6}" y="${py(up) + 4}" text-anchor="end">${percent(up)}</text>`,
    ];
  });
  const legend = series.map(
    ({ name, colour }) => `<span><i style="background:${colour}"></i>${escapeHtml(name)}</span>`,
  );
  const drawn = series.map((one) => draw(one, { px, py }));
  return `<figure><figcaption>${escapeHtml(title)}</figcaption>
<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escapeHtml(title)}">${grid.join('')}${drawn.join('')}
<text x="${(LEFT + WIDTH - RIGHT) / 2}" y="${HEIGHT - 8}" text-anchor="middle">${escapeHtml(x)}</text>
<text transform="translate(12 ${(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" text-anchor="middle">${escapeHtml(y)}</text></svg>
<p class="legend">${legend.join('')}</p></figure>`;
}

function draw(series: Series, { px, py }: Places): string {
  const { colour } = series;
  if (series.kind === 'line') {
    const points = series.points.map((point) => `${px(point.x).toFixed(1)},${py(point.y).toFixed(1)}`).join(' ');
    const dashes = series.dashed === true ? ' stroke-dasharray="5 4"' : '';
    return `<polyline points="${points}" fill="none" stroke="${colour}" stroke-width="2"${dashes}/>`;
  }
  if (series.kind === 'columns') {
    const width = (WIDTH - LEFT - RIGHT) / series.heights.length;
    return series.heights
      .map((height, at) => {
        const top = py(height);
        const size = `width="${(width - 2).toFixed(1)}" height="${(HEIGHT - BOTTOM - top).toFixed(1)}"`;
        return `<rect x="${(LEFT + at * width + 1).toFixed(1)}" y="${top.toFixed(1)}" ${size} fill="${colour}" opacity="0.25"/>`;
      })
      .join('');
  }
  return series.points.map((dot) => dotOf(dot, colour, { px, py })).join('');
}

function dotOf({ x, y, label, interval }: Dot, colour: string, { px, py }: Places): string {
  const [across, up] = [px(x).toFixed(1), py(y).toFixed(1)];
  const bar =
    interval === undefined
      ? ''
      : `<line x1="${across}" y1="${py(interval[0]).toFixed(1)}" x2="${across}" y2="${py(interval[1]).toFixed(1)}" stroke="${colour}"/>`;
  const text =
    label === undefined ? '' : `<text x="${px(x) + 6}" y="${(py(y) - 5).toFixed(1)}">${escapeHtml(label)}</text>`;
  return `${bar}<circle cx="${across}" cy="${up}" r="4" fill="${colour}"/>${text}`;
}
