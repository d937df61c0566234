import { auditWords, share, thresholdWords } from '@spillway/core/promise-words';
import type { BatchReport } from './report-object.ts';

/** What is promised of a batch's answers, and what watching over them has found. */
export function promiseLines({ thresholds, audits }: Pick<BatchReport, 'thresholds' | 'audits'>): string[] {
  const isOne = new Set([...thresholds, ...audits].map(({ cascade }) => cascade)).size < 2;
  const of = ({ cascade }: { readonly cascade: string }): string => (isOne ? '' : ` of ${cascade}`);
  return [
    ...thresholds.map((one) => `${one.budget === null ? 'promise' : 'budget'}${of(one)}: ${thresholdWords(one)}`),
    ...audits.flatMap((one) => (one.chosen === 0 ? [] : [`audit${of(one)}: ${auditWords(one)}`])),
  ];
}

/** Accepted drafts that are more often wrong than they may be, or of which nothing is promised though it was wished for. */
export const isInDoubt = ({ thresholds, audits }: Pick<BatchReport, 'thresholds' | 'audits'>): boolean =>
  audits.some(({ alarm }) => alarm !== null) ||
  thresholds.some(({ outcome, promise }) => outcome === 'not_certified' && promise?.otherwise === 'best_effort');

/** The same in a word or two, for a table. */
export function promiseMark({ thresholds, audits }: Pick<BatchReport, 'thresholds' | 'audits'>): string {
  const marks = thresholds.map(({ promise, budget, outcome }) => {
    if (budget !== null) return `budget ${share(budget.expert_share)}`;
    const target = share(promise?.agreement ?? promise?.accuracy ?? 0);
    return outcome === 'certified' ? target : `${target} ${outcome.replaceAll('_', ' ')}`;
  });
  return [...marks, ...(audits.some(({ alarm }) => alarm !== null) ? ['ALARM'] : [])].join(', ');
}
