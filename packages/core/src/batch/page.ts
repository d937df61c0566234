import { createHash } from 'node:crypto';
import { z } from 'zod';
import { countsRecord, moreRecord, writeCounts, type Counts } from '../accounting/counts.ts';
import type { Said } from '../accounting/reasons.ts';
import { delaysRecord, waitsRecord, type WrittenWaits } from '../accounting/waits.ts';
import { areDrafts, draftsPartRecord, draftsPlace, writeDrafts, type PageDrafts } from './page-drafts.ts';

const footer = z.object({
  v: z.literal(2),
  page: z.int(),
  documents: z.int(),
  /** Bytes of the output lines, then of the error lines. */
  outputBytes: z.int(),
  errorBytes: z.int(),
  counts: countsRecord,
  /** Its counts by reason, and what the servers said first of those. The version before wrote neither, and reads neither. */
  reasons: countsRecord.optional(),
  said: z.record(z.string(), z.string()).optional(),
  /** The waits of the documents that came to an end in a stage. */
  waits: waitsRecord.default({}),
  /** As above: absent in what the version before wrote. */
  delays: delaysRecord.optional(),
  more: moreRecord.optional(),
  /**
   * Of each document, in order, how long its line is, and below 0 where that is among the error lines: so one line is
   * read without the others. Absent in what the version before wrote, and where nobody needs it.
   */
  lineBytes: z.array(z.int()).optional(),
  /** SHA-256 of the lines. */
  sha256: z.string(),
  /** The private part, behind the lines. Absent in what the version before wrote, and where nothing is known. */
  draftsPart: draftsPartRecord.optional(),
});

/** What a page says of itself; its numbers are the ones that count. */
export type PageFooter = z.output<typeof footer>;

/** One document's place in a page: which file its line goes to. */
export type PageLine = { readonly part: 'output' | 'error'; readonly text: string };

/** Where the bytes of a line lie in its page's object. */
export type LinePlace = { readonly part: PageLine['part']; readonly start: number; readonly end: number };

/** The last bytes of a page object: the footer's length in decimal and a mark. */
const trailer = (length: number): string => `${String(length).padStart(10, '0')} spillway-p2\n`;
const TRAILER_BYTES = trailer(0).length;

/** The end of a footer that stands behind drafts: how many bytes it has of its own. The version before has it read whole. */
const ownBytesMark = (bytes: number): string => `,"ownBytes":"${String(bytes).padStart(10, '0')}"}\n`;
const OWN_BYTES_MARK = /,"ownBytes":"(\d{10})"\}\n$/;
const OWN_BYTES_MARK_LENGTH = ownBytesMark(0).length;

/** What a page says of its lines. */
export type PageFacts = WrittenWaits & {
  readonly counts: Counts;
  readonly said?: Said;
  /** Single lines will be read of it. */
  readonly hasLineBytes?: boolean;
  /** What the stages made of each document; absent: nothing is known. */
  readonly drafts?: PageDrafts;
};

/** Builds a page object: output lines, error lines, drafts, footer, trailer. `lines` and `drafts` in input order. */
export function writePage(
  page: number,
  lines: readonly PageLine[],
  { counts, waits, delays = {}, said = {}, hasLineBytes = false, drafts = [] }: PageFacts,
): { bytes: Buffer; footer: PageFooter } {
  const part = (name: PageLine['part']): Buffer =>
    Buffer.from(lines.flatMap((line) => (line.part === name ? [line.text, '\n'] : [])).join(''));
  const output = part('output');
  const errors = part('error');
  const content = Buffer.concat([output, errors]);
  const kept = writeDrafts(drafts);
  const written: PageFooter = {
    v: 2,
    page,
    documents: lines.length,
    outputBytes: output.length,
    errorBytes: errors.length,
    ...writeCounts(counts),
    said,
    waits,
    delays,
    ...(hasLineBytes ? { lineBytes: lines.map(lineBytesOf) } : {}),
    sha256: createHash('sha256').update(content).digest('hex'),
    ...(kept === null ? {} : { draftsPart: kept.part }),
  };
  const tail =
    kept === null
      ? Buffer.from(`${JSON.stringify(written)}\n`)
      : Buffer.concat([kept.bytes, footerBehindDrafts(written)]);
  return { bytes: Buffer.concat([content, tail, Buffer.from(trailer(tail.length))]), footer: written };
}

/** The rest of the JSON that began with the drafts. */
function footerBehindDrafts(written: PageFooter): Buffer {
  const own = Buffer.from(JSON.stringify(written).slice(1, -1));
  return Buffer.concat([own, Buffer.from(ownBytesMark(own.length + OWN_BYTES_MARK_LENGTH))]);
}

function lineBytesOf({ part, text }: PageLine): number {
  const bytes = Buffer.byteLength(text) + 1;
  return part === 'output' ? bytes : -bytes;
}

/** Where a page's lines lie in its object, by their documents' places; null: its footer does not say it. */
export function linePlaces({ lineBytes, outputBytes }: PageFooter): LinePlace[] | null {
  if (lineBytes === undefined) return null;
  const at = { output: 0, error: outputBytes };
  return lineBytes.map((bytes): LinePlace => {
    const part = bytes > 0 ? 'output' : 'error';
    const start = at[part];
    at[part] += Math.abs(bytes);
    // Without the line's end.
    return { part, start, end: at[part] - 1 };
  });
}

/** How many of the last bytes of a page object hold its footer; null when these are not the end of one. */
export function footerLength(end: Uint8Array): number | null {
  const bytes = Buffer.from(end.buffer, end.byteOffset, end.byteLength);
  const mark = /^(\d{10}) spillway-p2\n$/.exec(bytes.subarray(-TRAILER_BYTES).toString('latin1'));
  if (mark === null) return null;
  return (ownBytesOf(bytes) ?? Number(mark[1])) + TRAILER_BYTES;
}

/** Of a footer behind drafts its own bytes; else null. */
function ownBytesOf(end: Buffer): number | null {
  const text = end.subarray(-TRAILER_BYTES - OWN_BYTES_MARK_LENGTH, -TRAILER_BYTES).toString('latin1');
  const mark = OWN_BYTES_MARK.exec(text);
  return mark === null ? null : Number(mark[1]);
}

/** Reads the footer from the last bytes of a page object, or null when they are not the end of one. */
export function readFooter(end: Uint8Array): PageFooter | null {
  const bytes = Buffer.from(end.buffer, end.byteOffset, end.byteLength);
  const length = (footerLength(end) ?? 0) - TRAILER_BYTES;
  if (length <= 0 || bytes.length < length + TRAILER_BYTES) return null;
  try {
    const text = bytes.subarray(bytes.length - TRAILER_BYTES - length, bytes.length - TRAILER_BYTES).toString();
    return footer.safeParse(JSON.parse(ownBytesOf(bytes) === null ? text : `{${text}`)).data ?? null;
  } catch {
    return null;
  }
}

/** Whether a whole page object is what its footer says. */
export function verifyPage(object: Uint8Array): PageFooter | null {
  const read = readFooter(object);
  if (read === null) return null;
  const content = object.subarray(0, read.outputBytes + read.errorBytes);
  if (createHash('sha256').update(content).digest('hex') !== read.sha256) return null;
  const place = draftsPlace(read);
  if (place === null || read.draftsPart === undefined) return read;
  return areDrafts(object.subarray(place.start, place.end), read.draftsPart) ? read : null;
}
