export {
  openModel,
  type Attempt,
  type ModelCall,
  type ModelClient,
  type ModelNotice,
  type ModelOptions,
} from './client.ts';
export { askIsolated } from './isolated.ts';
