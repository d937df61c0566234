export {
  noticeMessage,
  openModel,
  type Attempt,
  type ModelCall,
  type ModelClient,
  type ModelNotice,
  type ModelOptions,
} from './client.ts';
export type { OnEvent } from './answer-stream.ts';
export { askIsolated } from './isolated.ts';
