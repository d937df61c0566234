export { allowedDisagreements, type SampledAnswers, type Terms } from './allowed.ts';
export { audited, rateBounds, startAudit, type Audit, type AuditTerms } from './audit.ts';
export { certifyAccuracy, certifyAgreement } from './certify.ts';
export type { Certificate, Certification, LabelledDocument, NotCertified, SampledDocument } from './certify.ts';
export { leastSample, planSample, type SamplePlan } from './sample-plan.ts';
export { binomialTail, hypergeometricTail } from './tail.ts';
