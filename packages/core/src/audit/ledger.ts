import { z } from 'zod';
import type { CascadeRules } from '../cascade/rules.ts';
import { audited, startAudit, type Audit } from '../promise/audit.ts';
import { auditTermsOf } from './terms.ts';

/** What the expert said of an accepted draft; `unanswered`: it had no answer. */
export const AUDIT_OUTCOMES = ['agreed', 'disagreed', 'unanswered'] as const;

/** An audit of one document. */
export const auditEntry = z.object({
  document: z.int(),
  cascade: z.string(),
  outcome: z.enum(AUDIT_OUTCOMES),
  /** Tokens that the expert read and wrote, and what they cost in 10⁻⁹ US dollars. */
  inputTokens: z.int(),
  outputTokens: z.int(),
  nanoUsd: z.int(),
});
export type AuditEntry = Readonly<z.output<typeof auditEntry>>;

/** Audits of a batch in the order in which they came in. What was written once never changes, nor does what it alarmed. */
export const auditsWritten = {
  atMs: z.int(),
  entries: z.array(auditEntry).readonly(),
  /** Cascades of which the audits up to here say that too many drafts disagree, and those before did not. */
  alarms: z.array(z.string()).readonly(),
};
export type AuditsWritten = {
  readonly atMs: number;
  readonly entries: readonly AuditEntry[];
  readonly alarms: readonly string[];
};

const auditState = z.object({
  audits: z.int(),
  disagreements: z.int(),
  evidence: z.number(),
  alarmAt: z.int().nullable(),
  stakes: z.array(z.number()).readonly(),
  waiting: z.number(),
});

/** What the audits of one cascade's documents came to. */
export const cascadeAuditsRecord = z.object({
  audit: auditState,
  /** Those to which the expert had no answer. */
  unanswered: z.int(),
  inputTokens: z.int(),
  outputTokens: z.int(),
  nanoUsd: z.int(),
  /** Since when it is written down that too many drafts disagree; null: it is not. */
  alarmAtMs: z.int().nullable(),
});
export type CascadeAudits = Readonly<z.output<typeof cascadeAuditsRecord>>;

/** What the audits of a batch came to, by cascade. */
export const auditsRecord = z.record(z.string(), cascadeAuditsRecord);
export type Audits = Readonly<Record<string, CascadeAudits>>;

const NO_AUDITS: CascadeAudits = {
  audit: startAudit(),
  unanswered: 0,
  inputTokens: 0,
  outputTokens: 0,
  nanoUsd: 0,
  alarmAtMs: null,
};

/** The audits with some more, in their order. Those of cascades that have no audit are passed over. */
export function withEntries(
  before: Audits,
  entries: readonly AuditEntry[],
  rules: Readonly<Record<string, Pick<CascadeRules, 'audit'>>>,
): Audits {
  const after: Record<string, CascadeAudits> = { ...before };
  for (const { cascade, outcome, inputTokens, outputTokens, nanoUsd } of entries) {
    const rule = rules[cascade]?.audit;
    if (rule === undefined) continue;
    const known = after[cascade] ?? NO_AUDITS;
    const isAnswered = outcome !== 'unanswered';
    after[cascade] = {
      ...known,
      audit: isAnswered ? audited(auditTermsOf(rule), known.audit, outcome === 'agreed') : known.audit,
      unanswered: known.unanswered + (isAnswered ? 0 : 1),
      inputTokens: known.inputTokens + inputTokens,
      outputTokens: known.outputTokens + outputTokens,
      nanoUsd: known.nanoUsd + nanoUsd,
    };
  }
  return after;
}

/** The cascades whose evidence says by now that too many drafts disagree, and of which that is not written down yet. */
export const newAlarms = (audits: Audits): string[] =>
  Object.entries(audits).flatMap(([name, { audit, alarmAtMs }]: [string, { audit: Audit; alarmAtMs: number | null }]) =>
    audit.alarmAt !== null && alarmAtMs === null ? [name] : [],
  );

/** The audits once a record of them stands. An alarm that it says stays, whatever rules a later version computes. */
export function withRecord(
  before: Audits,
  { entries, alarms, atMs }: AuditsWritten,
  rules: Readonly<Record<string, Pick<CascadeRules, 'audit'>>>,
): Audits {
  const after: Record<string, CascadeAudits> = { ...withEntries(before, entries, rules) };
  for (const name of alarms) {
    const known = after[name] ?? NO_AUDITS;
    const alarmAt = known.audit.alarmAt ?? known.audit.audits;
    after[name] = { ...known, audit: { ...known.audit, alarmAt }, alarmAtMs: known.alarmAtMs ?? atMs };
  }
  return after;
}

/** The cascades of which it is written down that too many drafts disagree. */
export const alarmedCascades = (audits: Audits): string[] =>
  Object.entries(audits).flatMap(([name, { alarmAtMs }]) => (alarmAtMs === null ? [] : [name]));

/** The audits of a batch as its records say. */
export const auditsOf = (
  records: readonly AuditsWritten[],
  rules: Readonly<Record<string, Pick<CascadeRules, 'audit'>>>,
): Audits => records.reduce<Audits>((sum, record) => withRecord(sum, record, rules), {});

/** What the audits of a batch cost, in 10⁻⁹ US dollars. */
export const auditNanoUsd = (audits: Audits): number =>
  Object.values(audits).reduce((sum, { nanoUsd }) => sum + nanoUsd, 0);
