import type { Random } from '../random.ts';

/** A day of the calendar. */
export interface Day {
  readonly year: number;
  /** From 1 to 12. */
  readonly month: number;
  readonly day: number;
}

/** How one document writes its days, from the plainest to the one that must be known to be read. */
export type DayStyle = 'iso' | 'dots' | 'words' | 'slashes' | 'short';

const STYLES: readonly DayStyle[] = ['iso', 'dots', 'words', 'slashes', 'short'];

export function drawDayStyle(random: Random, difficulty: number): DayStyle {
  return STYLES[random.between(0, difficulty < 0.3 ? 2 : difficulty < 0.6 ? 3 : 4)] ?? 'iso';
}

export function drawDay(random: Random): Day {
  return { year: random.between(2024, 2027), month: random.between(1, 12), day: random.between(1, 28) };
}

const twoDigits = (number: number): string => String(number).padStart(2, '0');

/** The calendar's own arithmetic: the day 0 of a month is the last of the one before. */
function dayOf(year: number, month: number, day: number): Day {
  const date = new Date(Date.UTC(year, month - 1, day));
  return { year: date.getUTCFullYear(), month: date.getUTCMonth() + 1, day: date.getUTCDate() };
}

export function daysLater({ year, month, day }: Day, days: number): Day {
  return dayOf(year, month, day + days);
}

export function endOfMonth({ year, month }: Day): Day {
  return dayOf(year, month + 1, 0);
}

/** The one way in which an answer writes a day. */
export function writeIsoDay({ year, month, day }: Day): string {
  return `${year}-${twoDigits(month)}-${twoDigits(day)}`;
}

/** How the days of one document look: its style, the names of its months, and which number comes first. */
export interface DayFormat {
  readonly style: DayStyle;
  readonly months: readonly string[];
  /** As in the United States: `03/14/2026`, `Mar 14, 2026`. */
  readonly monthFirst: boolean;
}

export function writeDay({ year, month, day }: Day, { style, months, monthFirst }: DayFormat): string {
  const name = months[month - 1] ?? '';
  switch (style) {
    case 'iso':
      return writeIsoDay({ year, month, day });
    case 'dots':
      return `${twoDigits(day)}.${twoDigits(month)}.${year}`;
    case 'words':
      return monthFirst ? `${name} ${day}, ${year}` : `${day} ${name} ${year}`;
    case 'slashes':
      return monthFirst
        ? `${twoDigits(month)}/${twoDigits(day)}/${year}`
        : `${twoDigits(day)}/${twoDigits(month)}/${year}`;
    case 'short':
      return `${day}.${month}.${year % 100}`;
  }
}
