import { LIMITS } from '../limits.ts';
import { cutText } from '../text/cut.ts';
import { isJsonObject } from '../text/json.ts';

/**
 * What a model server says in the body of an error: its message where it has one, else the first words of the body. Null:
 * it says nothing. The body's secrets were taken out before.
 */
export function serverWords(body: unknown): string | null {
  return firstWords(messageIn(body) ?? (typeof body === 'string' ? body : written(body)));
}

/** With this much there are enough characters left, whatever blanks and pairs are among them. */
const MAX_READ = 8 * LIMITS.saidCharacters;

/** The beginning of a text on one line, cut between characters. Null: there is nothing to read. */
export function firstWords(text: string | null | undefined): string | null {
  // Cut roughly first, as a page may have megabytes.
  const line = cutText(text ?? '', MAX_READ)
    .toWellFormed()
    .replaceAll(/[\s\p{Cc}]+/gu, ' ')
    .trim();
  return line === '' ? null : cutText(line, LIMITS.saidCharacters, '…');
}

/** Where servers put it: OpenAI's `error.message`, and what FastAPI, llama.cpp and proxies make of it. */
function messageIn(body: unknown): string | null {
  if (!isJsonObject(body)) return null;
  const { error, message, detail } = body;
  const found = [isJsonObject(error) ? error['message'] : error, message, detail];
  return (found.find((text) => typeof text === 'string' && text.trim() !== '') as string | undefined) ?? null;
}

const written = (body: unknown): string => (body === null || body === undefined ? '' : JSON.stringify(body));
