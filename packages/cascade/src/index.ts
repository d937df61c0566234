export { runStage, type StageOutcome } from './stage.ts';
export { openStageModel, StageModel, type AttemptOptions } from './stage-model.ts';
export { callMeter } from './telemetry/call-meter.ts';
export { DocumentTelemetry, type Settlement } from './telemetry/document-telemetry.ts';
