/** The part of the most that is added in a round: a worker that fell to one slot is back after sixteen rounds. */
const ROUND = 1 / 16;

/**
 * How many calls at a time a worker allows itself: a half of them once its server says that it takes no more, and a
 * step more after as many answers as there are slots. Additive increase, multiplicative decrease: workers that know
 * nothing of each other come to even shares of what a server takes (Chiu and Jain, 1989).
 */
export function fewerSlots(slots: number): number {
  return Math.max(1, slots / 2);
}

/** After an answer; `most` is what the configuration allows. */
export function moreSlots(slots: number, most: number): number {
  return Math.min(most, slots + Math.max(1, most * ROUND) / slots);
}
