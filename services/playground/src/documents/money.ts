import type { Random } from './random.ts';

/** How one document writes its numbers: it keeps to one way from the first sum to the last. */
export interface NumberFormat {
  readonly thousands: string;
  readonly decimal: string;
  readonly before: boolean;
  /** Whole sums without their two zeros (`120.-`), as shops in Switzerland and Scandinavia write them. */
  readonly shortWholes: boolean;
}

const SEPARATORS: readonly (readonly [thousands: string, decimal: string])[] = [
  [',', '.'],
  ['.', ','],
  [' ', ','],
  ['', '.'],
  ['', ','],
  ["'", '.'],
];

export function drawNumberFormat(random: Random): NumberFormat {
  const [thousands, decimal] = random.pick(SEPARATORS);
  return { thousands, decimal, before: random.chance(0.4), shortWholes: random.chance(0.15) };
}

/** Writes hundredths as the document would, without a currency. */
export function writeNumber(cents: number, format: NumberFormat): string {
  const whole = Math.floor(cents / 100);
  const grouped = String(whole).replaceAll(/\B(?=(\d{3})+$)/g, format.thousands);
  const fraction = String(cents % 100).padStart(2, '0');
  if (format.shortWholes && fraction === '00') return `${grouped}.-`;
  return `${grouped}${format.decimal}${fraction}`;
}

/** The one way in which an answer writes hundredths. */
export function writeTruth(cents: number): string {
  return `${Math.floor(cents / 100)}.${String(cents % 100).padStart(2, '0')}`;
}
