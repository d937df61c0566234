export { openModelCheck, type ModelCheck } from './model-check.ts';
export { runStage, type StageOutcome } from './stage.ts';
export type { AttemptOptions } from './asked.ts';
export type { OnEvent } from '@spillway/models';
export type { ControlFailure, ControlQuestion } from './control.ts';
export { noticeMessage, openStageModel, StageModel } from './stage-model.ts';
export { callMeter } from './telemetry/call-meter.ts';
export { beginDocumentCounters } from './telemetry/document-counters.ts';
export { DocumentTelemetry, type Settlement } from './telemetry/document-telemetry.ts';
