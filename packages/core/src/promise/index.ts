export {
  aimRecord,
  budgetAim,
  DEFAULT_CERTAINTY,
  OTHERWISE,
  promiseAim,
  promisedTerms,
  type AccuracyAim,
  type Aim,
  type BudgetAim,
  type PromiseAim,
  type PromisedTerms,
} from './aim.ts';
export { allowedDisagreements, type SampledAnswers, type Terms } from './allowed.ts';
export { audited, rateBounds, startAudit, type Audit, type AuditTerms } from './audit.ts';
export { certifyAccuracy, certifyAgreement, nextAbove } from './certify.ts';
export type { Certificate, Certification, LabelledDocument, NotCertified, SampledDocument } from './certify.ts';
export { leastSample, planSample, type SamplePlan } from './sample-plan.ts';
export { binomialTail, hypergeometricTail } from './tail.ts';
export { MAX_PROMISE_SAMPLE, mostSampled, planAim, termsOf, type AimPlan } from './plan-aim.ts';
