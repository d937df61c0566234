import { isUtf8 } from 'node:buffer';
import { isJsonObject, LIMITS, LineSplitter, parseJson, type JsonObject, type Line } from '@spillway/core';
import { rowId, type Found } from './found.ts';
import type { Source } from './source.ts';
import { bytesOf } from './table.ts';

/** The objects of a file of JSON lines; lines that are requests already are sent as they are. */
export async function* readJsonLines(source: Source): AsyncGenerator<Found> {
  const splitter = new LineSplitter(LIMITS.lineBytes);
  const counter = { row: 0 };
  for await (const piece of bytesOf(source)) yield* foundIn(splitter.push(piece), source, counter);
  yield* foundIn(splitter.end(), source, counter);
}

function* foundIn(lines: Iterable<Line>, { name }: Source, counter: { row: number }): Generator<Found> {
  for (const line of lines) {
    if (line.length === 0 || (line.bytes.length < 64 && line.bytes.toString().trim() === '')) continue;
    counter.row += 1;
    yield foundOf(line, rowId(name, counter.row));
  }
}

function foundOf({ bytes, tooLong, number }: Line, id: string): Found {
  const unreadable = (reason: string): Found => ({ kind: 'unreadable', id, reason: `${reason} (line ${number})` });
  if (tooLong) return unreadable('is too long');
  if (!isUtf8(bytes)) return unreadable('is no text in UTF-8');
  const value = parseJson(bytes.toString());
  if (!isJsonObject(value)) return unreadable('is no JSON object');
  return requestOf(value) ?? { kind: 'document', id, values: value, kept: value };
}

function requestOf({ custom_id: id, url, body, method }: JsonObject): Found | null {
  const isRequest = typeof id === 'string' && typeof url === 'string' && method === 'POST' && isJsonObject(body);
  return isRequest ? { kind: 'request', id, url, body } : null;
}
