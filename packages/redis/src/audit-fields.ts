import { alarmedCascades, auditsRecord, type Audits, type CascadeRules } from '@spillway/core';

/** The fields of a batch's hash that say what its audits came to, and how many of its cascades' alarmed. */
export const AUDITS = 'audits';
export const ALARMS = 'alarms';
/** That which says which rules hold; '' or absent: those of its manifest. */
export const RULES_VERSION = 'rulesVersion';

/** What is kept of a batch's audits; the rules only where they are others than its manifest's. */
export type KeptAudits = {
  readonly audits: Audits;
  readonly tightened: { readonly version: string; readonly rules: Readonly<Record<string, CascadeRules>> } | null;
};

/** What a batch's hash says of its audits, as fields and values. */
export const auditFields = ({ audits, tightened }: KeptAudits): (string | number)[] => [
  AUDITS,
  JSON.stringify(audits),
  ALARMS,
  alarmedCascades(audits).length,
  RULES_VERSION,
  tightened?.version ?? '',
];

/** What its audits came to. A later version may write more of it. */
export const auditsIn = (text: string | undefined): Audits =>
  text === undefined ? {} : auditsRecord.parse(JSON.parse(text));
