export * from './draw.ts';
export * from './ledger.ts';
export { auditedJob, auditEntryOf } from './job.ts';
export { shownAudits } from './shown.ts';
