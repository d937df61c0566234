import { hash } from 'node:crypto';
import { digest } from '../text/digest.ts';

/** Names a span: 32 and 16 hex digits, as W3C Trace Context has them. */
export type SpanName = { readonly traceId: string; readonly spanId: string };

/** What tells a document's passage from every other: one that is enqueued again after a loss begins a new trace. */
type TracedDocument = { readonly batch: string; readonly document: number; readonly enqueuedAtMs: number };

/** The parts of an attempt: the wait for it, the work, the call of the model in it. */
export type AttemptPart = 'wait' | 'work' | 'call';

const PARTS: readonly AttemptPart[] = ['wait', 'work', 'call'];

/** Ids repeat beyond so many stages, attempts of a stage, and calls beside a draft's own. */
const MAX_STAGES = 8;
const MAX_ATTEMPTS = 2 ** 12;
const MAX_EXTRA_CALLS = 20;
const MAX_JUDGED_ATTEMPTS = 2 ** 11;
/** Hex digits that tell a document's spans apart: enough for the numbers above. */
const CODE_DIGITS = 5;

/**
 * All ids of a document's trace, derived, so that whoever meets the document names the same ones. One hash for all of
 * them: at 6,000 spans a second a hash for each took a tenth of a worker's time.
 */
export class TraceIds {
  readonly root: SpanName;
  readonly #base: string;

  constructor({ batch, document, enqueuedAtMs }: TracedDocument) {
    const digits = hash('sha256', `trace ${batch} ${document} ${enqueuedAtMs}`);
    this.root = { traceId: digits.slice(0, 32), spanId: digits.slice(32, 48) };
    this.#base = digits.slice(48, 64 - CODE_DIGITS);
  }

  /** The span of a part of an attempt of a stage, from 0; `attempt` counts from 1. */
  spanId(stage: number, attempt: number, part: AttemptPart): string {
    const own = (stage % MAX_STAGES) * PARTS.length + PARTS.indexOf(part);
    return this.#named(own * MAX_ATTEMPTS + (attempt % MAX_ATTEMPTS));
  }

  /** The span of a call by which a draft is judged; `index` counts from 0. */
  extraSpanId(stage: number, attempt: number, index: number): string {
    const own = (stage % MAX_STAGES) * MAX_JUDGED_ATTEMPTS + (attempt % MAX_JUDGED_ATTEMPTS);
    const before = MAX_STAGES * PARTS.length * MAX_ATTEMPTS;
    return this.#named(before + own * MAX_EXTRA_CALLS + (index % MAX_EXTRA_CALLS));
  }

  #named(code: number): string {
    return `${this.#base}${code.toString(16).padStart(CODE_DIGITS, '0')}`;
  }
}

/** The trace of a batch and its root span. */
export function batchTrace(batch: string): SpanName {
  return { traceId: digest('trace', batch), spanId: digest('span', batch).slice(0, 16) };
}

/** The header that tells a model server which trace its work belongs to (W3C Trace Context, version 00). */
export function traceparentOf(
  document: TracedDocument,
  call: { readonly stage: number; readonly attempt: number; readonly extra: number | null; readonly sampled: boolean },
): string {
  const ids = new TraceIds(document);
  const { stage, attempt, extra, sampled } = call;
  const spanId = extra === null ? ids.spanId(stage, attempt, 'call') : ids.extraSpanId(stage, attempt, extra);
  return `00-${ids.root.traceId}-${spanId}-${sampled ? '01' : '00'}`;
}

/** Whether a document is among a share (0 to 1) of all, drawn evenly: by a digest, so that everybody draws the same. */
export function isDrawn(document: Pick<TracedDocument, 'batch' | 'document'>, share: number): boolean {
  if (share <= 0 || share >= 1) return share >= 1;
  const drawn = Number.parseInt(digest('draw', document.batch, String(document.document)).slice(0, 8), 16) / 2 ** 32;
  return drawn < share;
}
