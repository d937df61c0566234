export {
  fitsFormat,
  isWorthContinuing,
  joinAnswer,
  leftTokens,
  stopIn,
  type JoinedAnswer,
  type Joining,
} from './join.ts';
export { cutToLimit, keptPrefix, type KeepRule, type KeptPrefix } from './kept-prefix.ts';
export * from './plan.ts';
export * from './requests.ts';
export { readScores, type ReadScores, type ScoredToken } from './scores.ts';
export { idsRequest, promptIdsOf, readIdScores } from './prompt-ids.ts';
