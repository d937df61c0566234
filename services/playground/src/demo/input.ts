import { createReadStream, createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { isJsonObject, LIMITS, LineSplitter, type Line } from '@spillway/core';
import { SetupError } from '@spillway/runtime';
import { ANSWER_TOKENS, type DemoDocument } from '../documents/index.ts';

export const ENDPOINT = '/v1/chat/completions';

/** Writes generated documents as a batch file. */
export async function writeDocuments(path: string, documents: readonly DemoDocument[], cascade: string): Promise<void> {
  const lines = function* (): Generator<string> {
    for (const { customId, body } of documents) {
      const request = { custom_id: customId, method: 'POST', url: ENDPOINT, body: { model: cascade, ...body } };
      yield `${JSON.stringify(request)}\n`;
    }
  };
  await pipeline(Readable.from(lines()), createWriteStream(path));
}

/** Writes the user's file as a batch file for this cascade, line by line, so that line numbers in errors are the user's. */
export async function copyInput(from: string, to: string, cascade: string, signal: AbortSignal): Promise<void> {
  const splitter = new LineSplitter(LIMITS.lineBytes);
  const convert = async function* (source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
    for await (const chunk of source) for (const line of splitter.push(chunk)) yield convertLine(line, cascade);
    for (const line of splitter.end()) yield convertLine(line, cascade);
  };
  try {
    await pipeline(createReadStream(from), convert, createWriteStream(to), { signal });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw new SetupError(`--input: there is no file ${from}`, { cause: error });
    if (code === 'EISDIR') throw new SetupError(`--input: ${from} is a directory, expected a file`, { cause: error });
    if (code === 'EACCES') throw new SetupError(`--input: ${from} cannot be read by this user`, { cause: error });
    throw error;
  }
}

const NEWLINE = Buffer.from('\n');

/**
 * What is neither a request nor a document goes on as it is: the API says what is wrong with it, by line.
 * @internal exported for its test
 */
export function convertLine(line: Line, cascade: string): Buffer {
  const converted = line.tooLong ? null : rewrite(line, cascade);
  return converted === null ? Buffer.concat([line.bytes, NEWLINE]) : Buffer.from(`${JSON.stringify(converted)}\n`);
}

function rewrite(line: Line, cascade: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(line.bytes.toString('utf8'));
  } catch {
    return null;
  }
  if (!isJsonObject(value)) return null;
  const { body, text, custom_id } = value;
  if (isJsonObject(body)) return body['model'] === cascade ? null : { ...value, body: { ...body, model: cascade } };
  if (body !== undefined || typeof text !== 'string') return null;
  return {
    custom_id: custom_id ?? `line-${line.number}`,
    method: 'POST',
    url: ENDPOINT,
    body: {
      model: cascade,
      messages: [{ role: 'user', content: text }],
      max_tokens: ANSWER_TOKENS,
      temperature: 0,
    },
  };
}
