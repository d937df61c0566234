export {
  openModel,
  type Attempt,
  type ModelCall,
  type ModelClient,
  type ModelNotice,
  type ModelOptions,
} from './client.ts';
export { openTier, type Asked, type ModelTier } from './tier.ts';
export { askDraft, draftOf } from './draft.ts';
export { callMeter } from './meter.ts';
