import { cutText } from '@spillway/core';

const MAX_NAME_CHARACTERS = 255;

/** Control characters, line separators, and what reverses the direction of writing, which can show a name as another. */
const HARMFUL = /[\p{Cc}\u2028\u2029\u202A-\u202E\u2066-\u2069]/gu;

/** What a file is called whose sender gave no name. */
const NAMELESS = 'upload.jsonl';

/** A client's file name made harmless: without its path and control characters, and not too long. */
export function safeName(given: string): string {
  const name = (given.split(/[/\\]/).at(-1) ?? '').toWellFormed().replaceAll(HARMFUL, '').trim();
  if (name === '' || name === '.' || name === '..') return NAMELESS;
  if (name.length <= MAX_NAME_CHARACTERS) return name;
  const extension = cutText(extensionOf(name), MAX_NAME_CHARACTERS);
  return cutText(name, MAX_NAME_CHARACTERS - extension.length, extension);
}

/** A batch's input is `.jsonl`, or has no extension. */
export function isBatchInputName(name: string): boolean {
  const extension = extensionOf(name).toLowerCase();
  return extension === '' || extension === '.' || extension === '.jsonl';
}

function extensionOf(name: string): string {
  const dot = name.lastIndexOf('.');
  return dot > 0 ? name.slice(dot) : '';
}

/** `Content-Disposition` of a download; the second form carries what the first, in ASCII, cannot. */
export function attachmentHeader(name: string): string {
  const ascii = name.replaceAll(/[^\x20-\x7e]/gu, '_').replaceAll(/["\\]/g, '_');
  const plain = `attachment; filename="${ascii}"`;
  if (ascii === name) return plain;
  const encoded = encodeURIComponent(name).replaceAll(
    /['()*]/g,
    (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `${plain}; filename*=UTF-8''${encoded}`;
}
