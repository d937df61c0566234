import { LIMITS } from '@spillway/core';
import type { Found } from './found.ts';
import { decode, readWhole, Unreadable } from './decode.ts';
import type { Source } from './source.ts';

/** Larger than books with pictures are; the text of one is bounded as any document is. */
const PDF_BYTES = 256 * 1024 * 1024;
const HEAD_BYTES = 2048;

/** The file as one document: its text, whatever it is written in. */
export async function readDocument(source: Source): Promise<Found> {
  const text = (await textOf(source)).trim();
  if (text === '') throw new Unreadable(source.kind === 'pdf' ? 'has no text (pages that were scanned?)' : 'is empty');
  const { name } = source;
  return { kind: 'document', id: name, values: { file: name, text }, kept: {} };
}

async function textOf(source: Source): Promise<string> {
  if (source.kind === 'pdf') return await pdfText(await readWhole(source, PDF_BYTES));
  const bytes = await readWhole(source, LIMITS.lineBytes);
  return source.kind === 'html' ? await htmlText(decode(bytes, declaredEncoding(bytes))) : decode(bytes);
}

/** The encoding that a page says it has. */
function declaredEncoding(bytes: Buffer): string | undefined {
  const name = /<meta[^>]{0,200}charset=["']?([\w-]{1,40})/i.exec(bytes.toString('latin1', 0, HEAD_BYTES))?.[1];
  if (name === undefined) return undefined;
  try {
    return new TextDecoder(name).encoding;
  } catch {
    return undefined;
  }
}

/** What a reader of the page sees: no scripts, no addresses of links and pictures. */
async function htmlText(html: string): Promise<string> {
  // Few need it, and it takes a while to load; so it is with PDFs.
  const { convert } = await import('html-to-text');
  const headings = ['h1', 'h2', 'h3', 'h4', 'h5', 'h6'].map((selector) => ({
    selector,
    options: { uppercase: false },
  }));
  const selectors = [
    ...headings,
    { selector: 'a', options: { ignoreHref: true } },
    { selector: 'img', format: 'skip' },
    { selector: 'table', format: 'dataTable', options: { uppercaseHeaderCells: false } },
  ];
  try {
    return convert(html, { wordwrap: false, selectors });
  } catch (error) {
    // The library walks a page by recursion: one that is nested too deep has no text, rather than a part of it.
    throw new Unreadable(`is no page that can be read: ${(error as Error).message}`, { cause: error });
  }
}

async function pdfText(bytes: Buffer): Promise<string> {
  const { extractText, getDocumentProxy } = await import('unpdf');
  try {
    // A copy: the library takes the memory away.
    const pdf = await getDocumentProxy(new Uint8Array(bytes), { verbosity: 0 });
    try {
      const { text } = await extractText(pdf);
      return text.join('\n\n');
    } finally {
      await pdf.cleanup();
    }
  } catch (error) {
    const { name, message } = error as Error;
    throw new Unreadable(
      name === 'PasswordException' ? 'is locked by a password' : `is no PDF that can be read: ${message}`,
      {
        cause: error,
      },
    );
  }
}
