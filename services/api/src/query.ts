import { aboveMaximum, belowMinimum, invalidType, invalidValue } from './errors.ts';

/** The part of an address after `?`, as it was parsed: a name that comes twice holds an array. */
export type Query = Readonly<Record<string, unknown>>;

export function readText(query: Query, name: string): string | null {
  const value = query[name];
  if (value === undefined || value === '') return null;
  if (typeof value !== 'string') throw invalidType(name, 'a string', value);
  return value;
}

export function readLimit(query: Query, range: { least: number; most: number; fallback: number }): number {
  const text = readText(query, 'limit');
  if (text === null) return range.fallback;
  if (!/^[+-]?\d+$/.test(text)) throw invalidType('limit', 'an integer', text);
  const limit = Number(text);
  if (limit < range.least) throw belowMinimum('limit', range.least, text.slice(0, 32));
  if (limit > range.most) throw aboveMaximum('limit', range.most, text.slice(0, 32));
  return limit;
}

export function readOrder(query: Query): 'asc' | 'desc' {
  const text = readText(query, 'order') ?? 'desc';
  if (text !== 'asc' && text !== 'desc') throw invalidValue('order', text, "'asc' and 'desc'");
  return text;
}
