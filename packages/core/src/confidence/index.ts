export { majorityOf, sameAnswer } from './agreement.ts';
export { ASSESSMENT_TOP, assessmentRequest } from './assessment.ts';
export * from './features.ts';
export * from './judge.ts';
export * from './reasons.ts';
export { SIGNALS } from './signals.ts';
export { sameSignal, signalSpec, type SignalName, type SignalSpec } from './spec.ts';
