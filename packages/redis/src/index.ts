export { shownAddress } from './address.ts';
export * from './batches.ts';
export {
  memoryShare,
  memoryUse,
  openBoard,
  redisNowMs,
  type Board,
  type BoardOptions,
  type MemoryUse,
} from './board.ts';
export * from './epoch.ts';
export { readGate } from './gate.ts';
export * from './handoff.ts';
export * from './lease.ts';
export { listenForWork } from './listen.ts';
export * from './pages.ts';
export { untilAnswered } from './patience.ts';
export { Queues } from './queues.ts';
export { settle, type DocumentPlace, type Settled } from './settle.ts';
export { heldReason, readTier, type TierState } from './tier.ts';
export { runTierWorkers, type TierDesk } from './tier-workers.ts';
export { Witness, type Settlement } from './witness.ts';
export type { Attempt, Handler, Verdict } from './worker.ts';
