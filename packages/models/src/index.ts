export {
  noticeMessage,
  openModel,
  type Attempt,
  type ModelCall,
  type KnownRefusals,
  type ModelClient,
  type ModelNotice,
  type ModelOptions,
} from './client.ts';
export { ModelCheck } from './model-check.ts';
export type { OnEvent } from './answer-stream.ts';
export { askIsolated } from './isolated.ts';
