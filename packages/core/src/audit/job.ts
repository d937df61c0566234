import { nanoUsd } from '../accounting/price.ts';
import { NO_USAGE } from '../accounting/counts.ts';
import { stageOf } from '../cascade/rules.ts';
import { agrees } from '../confidence/index.ts';
import type { Ending } from '../document/ending.ts';
import { type CascadeDocument, type DocumentJob } from '../document/job.ts';
import { laterJob } from '../document/next-stage.ts';
import { ENDPOINTS } from '../endpoints/index.ts';
import type { AuditEntry } from './ledger.ts';

/**
 * The job by which the expert is asked about a document whose draft was accepted; null: there is no text to compare. It
 * carries what the draft said: the draft is the document's result, whatever comes of this.
 */
export function auditedJob({ job, rules }: CascadeDocument, ending: Ending, nowMs: number): DocumentJob | null {
  if (ending.kind !== 'accepted') return null;
  const draft = ENDPOINTS[job.endpoint].text(ending.draft.answer.body, job.body);
  if (draft === null) return null;
  return { ...laterJob(job, rules.stages.length - 1, nowMs), sampled: false, drafts: [], audit: { draft } };
}

/** What an audit says once its job has come to its end: an expert that has no answer says nothing of the draft. */
export function auditEntryOf({ job, rules }: CascadeDocument, ending: Ending): AuditEntry {
  const spent = ending.kind === 'answered' ? ending.answer.usage : ending.kind === 'failed' ? ending.usage : undefined;
  const usage = spent ?? NO_USAGE;
  const { inputTokens, outputTokens } = usage;
  const cost = nanoUsd(usage, stageOf(rules, job.stage).price);
  const entry = { document: job.document, cascade: job.cascade, inputTokens, outputTokens, nanoUsd: cost };
  if (ending.kind !== 'answered' || ending.answer.status >= 300) return { ...entry, outcome: 'unanswered' };
  const text = ENDPOINTS[job.endpoint].text(ending.answer.body, job.body);
  const isSame = text !== null && agrees(rules.agreement, job.audit?.draft ?? '', text);
  // Where the expert judges it, it has said of what is worded otherwise whether that means the same.
  const meansSame = (ending.sameAs ?? []).length > 0;
  return { ...entry, outcome: isSame || meansSame ? 'agreed' : 'disagreed' };
}
