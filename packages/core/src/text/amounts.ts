/** Numbers as people read them. */

export const count = (value: number): string => value.toLocaleString('en-US');

export const percent = (share: number): string => `${Math.floor(share * 100)} %`;

/** `3 documents`, `1 document`. */
export const counted = (value: number, noun: string): string => `${count(value)} ${noun}${value === 1 ? '' : 's'}`;

/** Dollars with as many digits as say something. */
export function dollars(value: number): string {
  if (value === 0) return '$0';
  if (value >= 100) return `$${count(Math.round(value))}`;
  return `$${value >= 0.1 ? value.toFixed(2) : Number(value.toPrecision(2))}`;
}

const UNITS = [
  ['d', 86_400],
  ['h', 3_600],
  ['min', 60],
] as const;

/** Seconds in their largest unit that is not a fraction only: `45 s`, `20 min`, `2.5 h`. */
export function seconds(value: number): string {
  const unit = UNITS.find(([, size]) => value >= size * 1.5);
  if (unit === undefined) return `${Math.round(value)} s`;
  const [name, size] = unit;
  const shown = value / size;
  return `${shown < 10 && name !== 'min' ? Number(shown.toFixed(1)) : Math.round(shown)} ${name}`;
}

/** A range of amounts; both ends alike are one. */
export function range(low: string, high: string): string {
  if (low === high) return low;
  const unit = / [a-z%]+$/.exec(high)?.[0] ?? '';
  return unit !== '' && low.endsWith(unit) ? `${low.slice(0, -unit.length)}–${high}` : `${low}–${high}`;
}

/** A rate of documents. */
export const perSecond = (value: number): string =>
  `${value < 10 ? Number(value.toFixed(1)) : count(Math.round(value))}/s`;

const SIZES = [
  ['GiB', 1024 ** 3],
  ['MiB', 1024 ** 2],
  ['KiB', 1024],
] as const;

export function bytes(value: number): string {
  const [unit, size] = SIZES.find(([, one]) => value >= one) ?? ['bytes', 1];
  const shown = value / size;
  return `${shown < 10 ? Number(shown.toFixed(1)) : Math.round(shown)} ${unit}`;
}
