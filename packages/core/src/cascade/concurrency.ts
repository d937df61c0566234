/** The part of the maximum that is added in a round: a worker that fell to one call is back after sixteen rounds. */
const ROUND = 1 / 16;

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
