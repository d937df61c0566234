/** Which values of a request's `priority` a server begins first: vLLM the low ones, SGLang by itself the high ones. */
export const PRIORITY_ORDERS = ['low_first', 'high_first'] as const;

export type PriorityOrder = (typeof PRIORITY_ORDERS)[number];

/**
 * Of a call that somebody waits for. It is before all that can wait in either order, and what vLLM takes a request to have
 * that says none.
 */
export const FIRST_PRIORITY = 0;

/**
 * What a priority counts in. SGLang interrupts a call that it answers for one that is more than 10 before it; by this unit
 * those of two documents that can wait differ by 7 at most.
 */
const UNIT_MS = 10_000;

/** A call may be overtaken by those that begin within this part of what is left of its batch's window, */
const WINDOW_SHARE = 1 / 60;
/** and within this part of the time that it may take, so that no call is lost to those that overtake it, */
const TIMEOUT_SHARE = 1 / 5;
/** but no longer than this. */
const MAX_OVERTAKEN_MS = 60_000;

/** A call that begins now; `deadlineMs` is the end of its batch's window. */
export type PrioritizedCall = { readonly nowMs: number; readonly deadlineMs: number; readonly timeoutMs: number };

/**
 * The priority of a call for a document that can wait: when it would begin if it let all begin before that are due sooner,
 * within bounds. So a server's queue goes by deadlines, and still each call's turn comes, whoever shares the server; in
 * the long run tenants have from it what they are given in Spillway's own queues, as all that is sent is answered.
 */
export function priorityOf(order: PriorityOrder, { nowMs, deadlineMs, timeoutMs }: PrioritizedCall): number {
  const overtakenMs = Math.min(
    Math.max(0, deadlineMs - nowMs) * WINDOW_SHARE,
    timeoutMs * TIMEOUT_SHARE,
    MAX_OVERTAKEN_MS,
  );
  const beginsAt = Math.ceil((nowMs + overtakenMs) / UNIT_MS);
  return order === 'low_first' ? beginsAt : -beginsAt;
}
