import { invalidField } from './protocol-error.ts';

/** A request's body; every field is read through the functions below, so that a wrong one is refused by name. */
export type Body = Readonly<Record<string, unknown>>;

export function isBody(value: unknown): value is Body {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** In this protocol a field that is null is one that is not there. */
function read<T>(body: Body, name: string, expected: string, accept: (value: unknown) => value is T): T | undefined {
  const value = body[name];
  if (value === undefined || value === null) return undefined;
  if (!accept(value)) throw invalidField(name, expected);
  return value;
}

export function readNumber(body: Body, name: string, low: number, high: number): number | undefined {
  const accept = (value: unknown): value is number => typeof value === 'number' && value >= low && value <= high;
  return read(body, name, `a number from ${low} to ${high}`, accept);
}

export function readInteger(body: Body, name: string, low: number, high: number): number | undefined {
  const accept = (value: unknown): value is number =>
    Number.isInteger(value) && Number(value) >= low && Number(value) <= high;
  return read(body, name, `a whole number from ${low} to ${high}`, accept);
}

export function readBoolean(body: Body, name: string): boolean | undefined {
  return read(body, name, 'true or false', (value): value is boolean => typeof value === 'boolean');
}

export function readString(body: Body, name: string): string | undefined {
  return read(body, name, 'a string', (value): value is string => typeof value === 'string');
}

export function readObject(body: Body, name: string): Body | undefined {
  return read(body, name, 'an object', isBody);
}

/** `stop` is one string or up to four. */
export function readStops(body: Body): readonly string[] {
  const accept = (value: unknown): value is string | string[] =>
    typeof value === 'string' ||
    (Array.isArray(value) && value.length <= 4 && value.every((stop) => typeof stop === 'string'));
  const stops = read(body, 'stop', 'a string or up to four of them', accept) ?? [];
  return (typeof stops === 'string' ? [stops] : stops).filter((stop) => stop !== '');
}
