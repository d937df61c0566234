/** What the name of a metric ends with for its unit, as Prometheus wants it; units in braces are counts and end nothing. */
const ENDINGS: Readonly<Record<string, string>> = { s: '_seconds', By: '_bytes', USD: '_usd', '1': '_ratio' };

/** Every histogram. The names without `cascade.` are OpenTelemetry's own. */
export const HISTOGRAMS = {
  'cascade.queue.wait': ['s', 'What a document waited for a free worker of a tier, all its attempts together.'],
  'cascade.delay': ['s', 'What else a document waited for at a tier, by reason.'],
  'cascade.sequential_wait': [
    's',
    "From an escalated document's enqueueing until the first call of the stage that delivered.",
  ],
  'cascade.document.duration': ['s', 'From enqueueing to settle.'],
  'gen_ai.client.operation.duration': ['s', 'A call of a model, whatever came of it.'],
  'gen_ai.server.request.duration': ['s', 'A generation by an embedded model, from its request to its last token.'],
  'http.server.request.duration': ['s', 'A request to the API.'],
} as const;

export const COUNTERS = {
  'cascade.documents': ['{document}', 'Settled documents that were asked about.'],
  'cascade.documents.copied': ['{document}', 'Documents that were answered from an equal one of their batch.'],
  'cascade.escalations': ['{document}', 'Drafts that went on to the next stage, by reason.'],
  'cascade.tokens': ['{token}', 'Tokens that models read and wrote.'],
  'cascade.cost': [
    'USD',
    'What the calls of settled documents and of audits cost, by the prices of the configuration.',
  ],
  'cascade.wasted.cost': ['USD', 'What drafts cost that were not final.'],
  'cascade.breaker.openings': [
    '{opening}',
    "A tier's circuit breaker opened: its model server is down or asks to wait.",
  ],
  'cascade.audits': ['{document}', 'Accepted drafts that the expert was to be asked about, by what it said.'],
  'cascade.pages.sealed': ['{page}', 'Pages that went to storage.'],
  'cascade.batches.ended': ['{batch}', 'Batches that ended, by outcome.'],
  'cascade.worker.replacements': [
    '{replacement}',
    'A worker took nothing up though documents waited, and connected to Redis anew.',
  ],
  'cascade.recoveries': ['{recovery}', 'Redis was lost and put back from storage.'],
  'cascade.step.failures': ['{failure}', 'Steps that failed for a batch and are attempted again.'],
  'cascade.requests.refused': ['{request}', 'Requests whose sender has no right to what it asked for, by reason.'],
  'gen_ai.server.tokens': ['{token}', 'Tokens that an embedded model read and wrote.'],
} as const;

/** Every gauge; observed when somebody asks. */
export const GAUGES = {
  'cascade.queue.depth': ['{document}', "Documents in a tier's queue."],
  'cascade.breaker.open': ['{breaker}', "1 while a tier's circuit breaker is not closed."],
  'cascade.batches': ['{batch}', 'Batches in work, by phase.'],
  'cascade.pages.in_flight': ['By', 'Enqueued pages that are not in storage yet.'],
  'cascade.not_enqueued': ['{document}', 'Documents of validated batches that are not enqueued yet.'],
  'cascade.audit.alarms': [
    '{cascade}',
    'Cascades of batches in work of which the audit says that too many accepted drafts disagree with the expert.',
  ],
  'cascade.window.used': ['1', 'The largest share of its completion window that a batch in work has behind it.'],
  'cascade.redis.memory': ['By', 'What Redis uses.'],
  'cascade.redis.memory.limit': ['By', "Redis' maxmemory; 0 for none."],
  'cascade.leader': ['{leader}', '1 while this dispatcher leads.'],
  'cascade.storage.full': ['{disk}', '1 while nothing can be written to storage.'],
  'cascade.storage.free': ['1', "What is free of the storage directory's disk: of its bytes or its files, the less."],
  'cascade.in_flight': ['{document}', 'Documents that a worker has in flight.'],
  'cascade.concurrency.limit': [
    '{call}',
    'Calls at a time that a worker allows itself; fewer while its server takes no more.',
  ],
  'gen_ai.server.requests': ['{request}', 'Requests that an embedded model has not finished.'],
  'spillway.build.info': ['{process}', '1, with what this process runs.'],
  'process.memory.usage': ['By', 'Resident memory.'],
  'nodejs.eventloop.utilization': ['1', 'Share of time that the event loop is busy, since it was last asked.'],
  'nodejs.eventloop.delay.max': ['s', 'The longest that the event loop stood still, since it was last asked.'],
} as const;

export type HistogramName = keyof typeof HISTOGRAMS;
export type CounterName = keyof typeof COUNTERS;
export type GaugeName = keyof typeof GAUGES;

/** A metric's name as Prometheus shows it, but for the `_total` of a counter, which the SDK adds. */
export const shownName = (name: string, unit: string): string => `${name.replaceAll('.', '_')}${ENDINGS[unit] ?? ''}`;

/** The whole catalogue, as it is shown. */
export function shownMetrics(): { readonly name: string; readonly kind: 'histogram' | 'counter' | 'gauge' }[] {
  const shown = (table: Readonly<Record<string, readonly [unit: string, description: string]>>): string[] =>
    Object.entries(table).map(([name, [unit]]) => shownName(name, unit));
  return [
    ...shown(HISTOGRAMS).map((name) => ({ name, kind: 'histogram' as const })),
    ...shown(COUNTERS).map((name) => ({ name: `${name}_total`, kind: 'counter' as const })),
    ...shown(GAUGES).map((name) => ({ name, kind: 'gauge' as const })),
  ];
}
