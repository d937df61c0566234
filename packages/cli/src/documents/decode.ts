import { readFile, stat } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import { bytes as sizeOf } from '@spillway/core/amounts';
import type { Source } from './source.ts';

/** Why something is no document; it is told, and stops nothing else. */
export class Unreadable extends Error {
  override readonly name = 'Unreadable';
}

/** The bytes of a whole file, if they are not more than this. */
export async function readWhole({ path }: Source, maxBytes: number): Promise<Buffer> {
  try {
    const size = path === null ? 0 : (await stat(path)).size;
    const bytes = size > maxBytes ? null : path === null ? await buffer(process.stdin) : await readFile(path);
    if (bytes !== null && bytes.length <= maxBytes) return bytes;
    throw new Unreadable(`is larger than ${sizeOf(maxBytes)}`);
  } catch (error) {
    if (error instanceof Unreadable) throw error;
    throw new Unreadable(`cannot be read (${(error as NodeJS.ErrnoException).code ?? String(error)})`, {
      cause: error,
    });
  }
}

/** The encoding that a byte order mark names; null: there is none. */
export function markedEncoding(bytes: Uint8Array): string | null {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return 'utf-16le';
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return 'utf-16be';
  return null;
}

/** Bytes as text; what is none is refused, so that no question is asked about rubbish. */
export function decode(bytes: Uint8Array, encoding = markedEncoding(bytes) ?? 'utf-8'): string {
  const text = decoded(bytes, encoding);
  if (text.includes('\0')) throw new Unreadable('is no text');
  return text;
}

function decoded(bytes: Uint8Array, encoding: string): string {
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch (error) {
    throw new Unreadable(`is no text in ${encoding.toUpperCase()}`, { cause: error });
  }
}
