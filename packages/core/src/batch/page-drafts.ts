import { createHash } from 'node:crypto';
import { z } from 'zod';

/**
 * The private part of a page: of each document, in order, what its stages made of it, one text a document on a line of its
 * own; null: nothing is known. It lies between the lines and the footer, so that no file of results has it.
 *
 * Lines, then `{"drafts":[`, the texts, `],` and the rest of the footer's JSON: together with this part the footer is
 * JSON, too. So the version before, which takes for the footer whatever is behind the lines, reads it and passes over
 * the drafts.
 */
export type PageDrafts = readonly (string | null)[];

const HEAD = '{"drafts":[\n';
const BETWEEN = ',\n';
const TAIL = '\n],';

/** What a footer says of the private part: its bytes, and their SHA-256. */
export const draftsPartRecord = z.object({ bytes: z.int(), sha256: z.string() });

type DraftsPart = z.output<typeof draftsPartRecord>;

/** What says in a footer where the private part lies, and of how many documents it is. */
type Footer = {
  readonly documents: number;
  readonly outputBytes: number;
  readonly errorBytes: number;
  readonly draftsPart?: DraftsPart | undefined;
};

/** The bytes of a private part; null: nothing is known of any document. */
export function writeDrafts(drafts: PageDrafts): { readonly bytes: Buffer; readonly part: DraftsPart } | null {
  if (drafts.every((text) => text === null)) return null;
  const bytes = Buffer.from(`${HEAD}${drafts.map((text) => text ?? 'null').join(BETWEEN)}${TAIL}`);
  return { bytes, part: { bytes: bytes.length, sha256: sha256Of(bytes) } };
}

/** Where a page's private part lies in its object; null: it has none. */
export function draftsPlace({ outputBytes, errorBytes, draftsPart }: Footer): { start: number; end: number } | null {
  if (draftsPart === undefined) return null;
  const start = outputBytes + errorBytes;
  return { start, end: start + draftsPart.bytes };
}

/** Whether these bytes are the private part that a footer speaks of. */
export const areDrafts = (bytes: Uint8Array, part: DraftsPart): boolean =>
  bytes.byteLength === part.bytes && sha256Of(bytes) === part.sha256;

/** Reads a private part; null: it is damaged. */
export function readDrafts(bytes: Uint8Array, { documents, draftsPart }: Footer): PageDrafts | null {
  if (draftsPart === undefined || !areDrafts(bytes, draftsPart)) return null;
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
  const drafts = text
    .slice(HEAD.length, -TAIL.length)
    .split(BETWEEN)
    .map((one) => (one === 'null' ? null : one));
  return drafts.length === documents ? drafts : null;
}

const sha256Of = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
