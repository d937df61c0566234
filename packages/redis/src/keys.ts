/** Names of all keys. One hash tag keeps a script's keys on one node of a Cluster. */
export class Keys {
  /** Also BullMQ's prefix. */
  readonly prefix: string;

  constructor(namespace: string) {
    this.prefix = `{${namespace}}`;
  }

  /** Redis' run_id as of the last recovery, and the version of what stands in Redis (`<run_id>.<version>`). */
  get epoch(): string {
    return `${this.prefix}:epoch`;
  }
  /** Token of the recovery that is going on. */
  get recovery(): string {
    return `${this.prefix}:recovery`;
  }
  /** Ids of the batches in work. */
  get batches(): string {
    return `${this.prefix}:batches`;
  }
  /** The leading dispatcher. */
  get lease(): string {
    return `${this.prefix}:lease`;
  }
  /** Enqueued, unsealed pages → bytes of their input and results. */
  get inFlight(): string {
    return `${this.prefix}:in-flight`;
  }
  /** Pages whose every document is settled. */
  get full(): string {
    return `${this.prefix}:full`;
  }
  /** The tiers of which no more can be enqueued now: see shortage.ts. */
  get shortage(): string {
    return `${this.prefix}:shortage`;
  }
  /** Channel: something changed that a dispatcher waits for. */
  get wake(): string {
    return `${this.prefix}:wake`;
  }
  /** Channel: a batch's id and outcome when it stops taking results. */
  get closed(): string {
    return `${this.prefix}:closed`;
  }
  batch(id: string): string {
    return `${this.prefix}:batch:${id}`;
  }
  /** Places → the times of the results of a page that is not sealed. */
  times(id: string, page: number): string {
    return `${this.prefix}:times:${id}:${page}`;
  }

  /** The rules of a batch's cascades, as JSON. */
  rules(id: string): string {
    return `${this.prefix}:rules:${id}`;
  }
  /** A bit per sealed page. */
  sealed(id: string): string {
    return `${this.prefix}:sealed:${id}`;
  }
  page(id: string, page: number): string {
    return `${this.prefix}:page:${id}:${page}`;
  }
  /** Batches that a tenant has in work or is about to have: see tenant-work.ts. */
  work(tenant: string): string {
    return `${this.prefix}:work:${tenant}`;
  }
  /** Files that a tenant is storing → their bytes. */
  storing(tenant: string): string {
    return `${this.prefix}:storing:${tenant}`;
  }
  /** How many traces of a batch are kept beside those that were drawn, by kind. */
  traces(id: string): string {
    return `${this.prefix}:traces:${id}`;
  }
  /** Jobs of a tier by which it is asked about accepted drafts → their bytes. */
  audits(tier: string): string {
    return `${this.prefix}:audits:${tier}`;
  }
  /** What audits of a batch said, as far as it is not in storage; and the batches of which there is something. */
  outcomes(id: string): string {
    return `${this.prefix}:outcomes:${id}`;
  }
  get audited(): string {
    return `${this.prefix}:audited`;
  }
  /** Start tags in a queue, by tenant, and what each was given; with a tenant's name after it those of its batches: see lua/fair.lua. */
  startTags(tier: string): string {
    return `${this.prefix}:start-tags:${tier}`;
  }
  /** What the workers of a tier tell of themselves. */
  tier(tier: string): string {
    return `${this.prefix}:tier:${tier}`;
  }
  /** A tier's circuit breaker: see breaker.ts. */
  breaker(tier: string): string {
    return `${this.prefix}:breaker:${tier}`;
  }
  /** When a tier's breaker was open. */
  holds(tier: string): string {
    return `${this.prefix}:holds:${tier}`;
  }
  /** Calls of a tier that were broken off lately, by document and when. */
  broken(tier: string): string {
    return `${this.prefix}:broken:${tier}`;
  }
  /** What the last check of a tier's model found, as JSON. */
  check(tier: string): string {
    return `${this.prefix}:check:${tier}`;
  }
  /** BullMQ's own key of a queue, without its last part. */
  queue(tier: string): string {
    return `${this.prefix}:${tier}`;
  }
  /** What taking tags reads of a queue: its start tags, and BullMQ's own jobs that wait, are due later, are worked on. */
  tagInputs(tier: string): string[] {
    const [prioritized, , delayed, active] = this.states(tier);
    return [this.startTags(tier), prioritized, delayed, active];
  }
  /** BullMQ's own jobs of a queue, by state: those that wait, in order and in a list, are due later, are worked on. */
  states(tier: string): [prioritized: string, wait: string, delayed: string, active: string] {
    const queue = this.queue(tier);
    return [`${queue}:prioritized`, `${queue}:wait`, `${queue}:delayed`, `${queue}:active`];
  }
  /** What BullMQ's own script takes that adds a job of a priority to a queue. */
  addInputs(tier: string): string[] {
    const queue = this.queue(tier);
    const names = ['marker', 'meta', 'id', 'prioritized', 'delayed', 'completed', 'active', 'events', 'pc'];
    return names.map((name) => `${queue}:${name}`);
  }
  /** Before the ids of a queue's jobs. */
  jobs(tier: string): string {
    return `${this.queue(tier)}:`;
  }
}

/** A page's name in the sets of pages. */
export const pageMember = (batch: string, page: number): string => `${batch}:${page}`;

export function parsePageMember(member: string): { batch: string; page: number } {
  const at = member.lastIndexOf(':');
  return { batch: member.slice(0, at), page: Number(member.slice(at + 1)) };
}
