export {
  openModel,
  type Attempt,
  type ModelCall,
  type ModelClient,
  type ModelNotice,
  type ModelOptions,
} from './client.ts';
export { ModelTier, type Asked, type AskOptions, type TierOptions } from './tier.ts';
