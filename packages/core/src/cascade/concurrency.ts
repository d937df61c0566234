/** The part of the maximum that is added in a round: a worker that fell to one call is back after sixteen rounds. */
const ROUND = 1 / 16;

/** From this part of what a call may take on, answers come so late that one more call would make others time out. */
const CROWDED_SHARE = 1 / 2;

/** From this part on, there are too many calls already. */
const OVERCROWDED_SHARE = 3 / 4;

/**
 * How many calls at a time a worker allows itself: half of them once its server says that it takes no more, and a step
 * more after as many answers as the limit. Additive increase, multiplicative decrease: workers that know nothing of each
 * other come to even shares of what a server takes (Chiu and Jain, 1989).
 */
export function loweredLimit(limit: number): number {
  return Math.max(1, limit / 2);
}

/** After an answer; `max` is what the configuration allows. */
export function raisedLimit(limit: number, max: number): number {
  return Math.min(max, limit + Math.max(1, max * ROUND) / limit);
}

/** How long answers take lately. */
export type Lateness = {
  /** What the slowest of the last answers took, as a part of what a call may take. */
  readonly slowestShare: number;
  /** Calls have timed out while others were answered late, so that it is their number that makes answers late. */
  readonly isWary: boolean;
};

/** Whether a call that times out may have done so because of the others. */
export const isCrowded = (slowestShare: number): boolean => slowestShare >= CROWDED_SHARE;

/**
 * The limit after an answer. Servers that never say that they take no more queue without end, and what waits too long
 * times out. Where that has happened the limit no longer rises once answers come late, and falls before they come too
 * late. Elsewhere answers that take long are answers of many tokens.
 */
export function limitAfterAnswer(limit: number, max: number, { slowestShare, isWary }: Lateness): number {
  if (!isWary || !isCrowded(slowestShare)) return raisedLimit(limit, max);
  return slowestShare < OVERCROWDED_SHARE ? limit : loweredLimit(limit);
}
