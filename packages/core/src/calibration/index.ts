export * from './artefact.ts';
export * from './fit.ts';
export { shareInterval } from './interval.ts';
export { labelledAnswer, labelText } from './label.ts';
export type { ScoredLabel } from './isotonic.ts';
export type { LabelledRow } from './logistic.ts';
export * from './measures.ts';
export { serverDigest } from './server.ts';
export { calibrated, calibrationMethod, type CalibrationMethod } from './method.ts';
