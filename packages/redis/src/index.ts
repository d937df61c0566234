export { shownAddress } from './address.ts';
export {
  auditedBatches,
  beginAudit,
  dropIdleAudits,
  dropOutcomes,
  endAudit,
  keepAudits,
  readOutcomes,
} from './audits.ts';
export type { KeptAudits } from './audit-fields.ts';
export * from './batches.ts';
export * from './breaker.ts';
export { connectRedis, type RedisClient } from './client.ts';
export { pressOn } from './press-on.ts';
export { RedisClock } from './clock.ts';
export { steer } from './control.ts';
export * from './epoch.ts';
export * from './handoff.ts';
export * from './jobs.ts';
export * from './lease.ts';
export { listenForClosed, listenForWork, type WorkListener } from './listen.ts';
export { readFindings, writeFindings } from './findings.ts';
export type { Outage } from './outage.ts';
export * from './pages.ts';
export { dealTags, type TenantOrder } from './precedence.ts';
export { keepNotes } from './progress.ts';
export { bundledDocuments, bundledField, Queues, type PageDocuments } from './queues.ts';
export { readShortage, writeShortage, type Shortage } from './shortage.ts';
export { tellOfQueue, type TakenJob } from './tell-of-queue.ts';
export { settle, Settler, type DocumentPlace, type Settled } from './settle.ts';
export { readSummaries, type BatchSummary } from './summaries.ts';
export {
  memoryShare,
  memoryUse,
  openRedis,
  redisNowMs,
  type MemoryUse,
  type RedisOptions,
  type RedisStore,
} from './store.ts';
export {
  Heartbeat,
  HEARTBEAT_MS,
  heldReason,
  perSecondOf,
  readTier,
  readWaiting,
  type TierState,
  type WaitingTier,
} from './tier.ts';
export * from './tenant-bytes.ts';
export * from './tenant-work.ts';
export { TierLoads } from './tier-loads.ts';
export { takeTrace } from './traces.ts';
export { keepSaid } from './words.ts';
export { untilRecovered } from './until-recovered.ts';
