import { createHash } from 'node:crypto';
import { digest } from '../ids.ts';
import type { DocumentJob } from '../job.ts';
import type { Role } from '../rules.ts';

/** Names a span: 32 and 16 hex digits, as W3C Trace Context has them. */
export type SpanName = { readonly traceId: string; readonly spanId: string };

/** What tells a document's way from every other: a document that is fed again after a loss begins a new one. */
type Way = Pick<DocumentJob, 'batch' | 'document' | 'fedAtMs'>;

/** The parts of a try: the wait for it, the work, the call of the model in it. */
export type TryPart = 'wait' | 'work' | 'call';

const PARTS: readonly TryPart[] = ['wait', 'work', 'call'];
const TRIES = 2 ** 12;
const EXTRA_MOST = 20;

/**
 * All ids of a document's trace, derived, so that whoever meets the document names the same ones. One hash for all of
 * them: at 6,000 spans a second a hash for each took a tenth of a worker's time.
 */
export class TraceIds {
  readonly root: SpanName;
  readonly #base: string;

  constructor({ batch, document, fedAtMs }: Way) {
    const hash = createHash('sha256').update(`trace ${batch} ${document} ${fedAtMs}`).digest('hex');
    this.root = { traceId: hash.slice(0, 32), spanId: hash.slice(32, 48) };
    this.#base = hash.slice(48, 60);
  }

  /** The span of a part of a try of a tier; `attempt` counts from 1. */
  spanId(role: Role, attempt: number, part: TryPart): string {
    const tier = role === 'draft' ? 0 : PARTS.length;
    const code = (tier + PARTS.indexOf(part)) * TRIES + (attempt % TRIES);
    return this.#named(code);
  }

  /** The span of a call by which a draft is judged; `index` counts from 0. */
  extraSpanId(attempt: number, index: number): string {
    return this.#named(2 * PARTS.length * TRIES + (attempt % (TRIES / 2)) * EXTRA_MOST + (index % EXTRA_MOST));
  }

  #named(code: number): string {
    return `${this.#base}${code.toString(16).padStart(4, '0')}`;
  }
}

/** The trace of a batch and its root span. */
export function batchTrace(batch: string): SpanName {
  return { traceId: digest('trace', batch), spanId: digest('span', batch).slice(0, 16) };
}

/** The header that tells a model server which trace its work belongs to (W3C Trace Context, version 00). */
export function traceparentOf(
  way: Way,
  role: Role,
  call: { readonly attempt: number; readonly extra: number | null; readonly sampled: boolean },
): string {
  const ids = new TraceIds(way);
  const { attempt, extra, sampled } = call;
  const spanId = extra === null ? ids.spanId(role, attempt, 'call') : ids.extraSpanId(attempt, extra);
  return `00-${ids.root.traceId}-${spanId}-${sampled ? '01' : '00'}`;
}

/** Whether a document is among a share (0 to 1) of all, drawn evenly: by a digest, so that everybody draws the same. */
export function isDrawn(way: Pick<Way, 'batch' | 'document'>, share: number): boolean {
  if (share <= 0 || share >= 1) return share >= 1;
  const drawn = Number.parseInt(digest('draw', way.batch, String(way.document)).slice(0, 8), 16) / 2 ** 32;
  return drawn < share;
}
