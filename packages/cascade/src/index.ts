export { openModelCheck, type ModelCheck } from './model-check.ts';
export { runStage, type StageOutcome } from './stage.ts';
export { openStageModel, StageModel, type AttemptOptions, type OnEvent } from './stage-model.ts';
export { callMeter } from './telemetry/call-meter.ts';
export { DocumentTelemetry, type Settlement } from './telemetry/document-telemetry.ts';
