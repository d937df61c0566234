import type { Batch, Outcome } from './batch.ts';

/**
 * BARGAIN's rule for an accuracy target (Zeighami, Shankar, Parameswaran, "Cut Costs, Not Accuracy: LLM-Powered Data
 * Processing with Guarantees", arXiv 2509.02896), written from its description: thresholds at every twentieth of the
 * batch are tested from the safest down, each at δ, until one fails; at each, documents above it are drawn and both tiers
 * asked, until a betting test (Waudby-Smith and Ramdas 2024, without replacement) says that enough of them agree. What is
 * below the threshold gets the expert's answers, so above it fewer need to agree. Answers to documents that were asked
 * about for an earlier threshold are used again. As in its public implementation a threshold is given up after 50
 * documents when their mean less their standard deviation is below what is needed.
 */
export function bargain(
  batch: Batch,
  { agreement, delta, size }: { readonly agreement: number; readonly delta: number; readonly size: number },
  random: () => number,
): Outcome {
  const documents = inOrder(batch);
  const drawn = shuffledFrom(documents.length, random);
  const isAsked = new Uint8Array(documents.length);
  const { ranked } = batch;
  let end = 0;
  for (let step = 1; step <= THRESHOLDS; step += 1) {
    const above = Math.min(documents.length, Math.floor((step * size) / THRESHOLDS));
    const needed = (agreement * size - (size - above)) / above;
    if (needed <= 0) {
      end = above;
      continue;
    }
    const agrees = (at: number): number => 1 - (ranked.wrong[documents[at] ?? 0] ?? 0);
    const holds = isShown({ above, needed, delta }, drawn, (at) => {
      isAsked[at] = 1;
      return agrees(at);
    });
    if (!holds) break;
    end = above;
  }
  let [accepted, wrong] = [0, 0];
  for (let at = 0; at < end; at += 1) {
    if (isAsked[at] === 1) continue;
    accepted += 1;
    wrong += ranked.wrong[documents[at] ?? 0] ?? 0;
  }
  return { accepted, wrong };
}

const THRESHOLDS = 20;
const GIVE_UP_AFTER = 50;
/** A bet is at most this part of what would ruin the bettor. */
const MOST = 0.75;

/** The documents of a batch that can be judged, best first, each as often as the batch has it: ranked places. */
function inOrder({ ranked, count, size }: Batch): Int32Array {
  const documents = new Int32Array(size);
  let filled = 0;
  for (let at = 0; at < ranked.judged; at += 1) {
    for (let times = count[at] ?? 0; times > 0; times -= 1) {
      documents[filled] = at;
      filled += 1;
    }
  }
  return documents.subarray(0, filled);
}

function shuffledFrom(length: number, random: () => number): Int32Array {
  const places = Int32Array.from({ length }, (_, at) => at);
  for (let at = 0; at < length; at += 1) {
    const other = at + Math.floor(random() * (length - at));
    [places[at], places[other]] = [places[other] ?? 0, places[at] ?? 0];
  }
  return places;
}

/** Whether more than a share of the documents above a threshold agrees, by bets on each that is drawn. */
function isShown(
  { above, needed, delta }: { readonly above: number; readonly needed: number; readonly delta: number },
  drawn: Int32Array,
  ask: (at: number) => number,
): boolean {
  let [capital, seen, sum, squares] = [1, 0, 0, 0];
  for (const at of drawn) {
    if (at >= above) continue;
    const variance = (0.25 + squares) / (seen + 1);
    const mean = (needed * above - sum) / (above - seen);
    if (mean <= 0) return true;
    if (mean > 1) return false;
    const bet = Math.min(
      Math.sqrt((2 * Math.log(1 / delta)) / (variance * (seen + 1) * Math.log(seen + 2))),
      MOST / mean,
    );
    const agrees = ask(at);
    capital *= 1 + bet * (agrees - mean);
    seen += 1;
    sum += agrees;
    squares += (agrees - (0.5 + sum) / (seen + 1)) ** 2;
    if (capital >= 1 / delta) return true;
    const share = sum / seen;
    if (seen >= GIVE_UP_AFTER && share - Math.sqrt(share * (1 - share)) < needed) return false;
  }
  return sum / above >= needed;
}
