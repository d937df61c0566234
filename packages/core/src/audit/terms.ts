import type { AuditRule } from '../cascade/audit-rule.ts';
import type { AuditTerms } from '../promise/audit.ts';

/** The terms of an audit: what may disagree, and how seldom it alarms falsely. */
export const auditTermsOf = ({ atMost, certainty }: AuditRule): AuditTerms => ({
  mayDisagree: atMost,
  delta: 1 - certainty,
});

/**
 * The audit of a batch with a certified promise watches over that. The promise is of all answers, those of the expert
 * included, which never disagree: so of the accepted drafts as many more may. What share these are the sample says.
 */
export function promisedAudit(
  rule: AuditRule,
  { agreement, certainty }: { readonly agreement: number; readonly certainty: number },
  expertShare: number | null,
): AuditRule {
  const accepted = 1 - (expertShare ?? 0);
  return { ...rule, atMost: accepted > 0 ? Math.min(1, (1 - agreement) / accepted) : 1, certainty };
}
