import type { CascadeRules } from '../cascade/rules.ts';
import type { Ending } from '../document/ending.ts';
import { digest } from '../text/digest.ts';

/** Whether the audit of a batch looks at a document, if its draft is accepted: by a keyed hash, so that everybody draws the same. */
export const isAuditDrawn = (
  { batch, document }: { readonly batch: string; readonly document: number },
  share: number,
) => Number.parseInt(digest('audit', batch, String(document)).slice(0, 12), 16) / 2 ** 48 < share;

/** Whether the expert is also asked about a document that has come to its end: its draft was accepted, and it is drawn. */
export const isChosenForAudit = (
  { job, rules }: { readonly job: { readonly batch: string; readonly document: number }; readonly rules: CascadeRules },
  { kind }: Pick<Ending, 'kind'>,
): boolean => kind === 'accepted' && rules.audit !== undefined && isAuditDrawn(job, rules.audit.share);
