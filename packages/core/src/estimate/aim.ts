import { calibrateCascade, type DrawnDocument } from '../batch/calibrate.ts';
import { seededRandom } from '../calibration/measures.ts';
import { judgingStages } from '../cascade/thresholds.ts';
import type { CascadeRules } from '../cascade/rules.ts';
import type { Expected } from '../progress/time-left.ts';
import { planAim } from '../promise/index.ts';
import { digestBits } from '../text/digest.ts';
import type { Sliced } from '../text/slices.ts';

/** A document of a pilot that every stage answered: what it stands for, and how its drafts were judged. */
export type JudgedPilot = { readonly weight: number; readonly drawn: DrawnDocument };

/** What a batch comes to whose thresholds are found by a sample of itself. */
export type AimEstimate = {
  /** How many documents are sampled. */
  readonly sampled: number;
  /** By stage, from 0: the share of the documents that come to it. */
  readonly reach: readonly Expected[];
  /** How often something was certified; null: nothing is promised by a budget. */
  readonly certified: number | null;
};

const ROUNDS = 300;
/** A little more than nine in ten of the draws, as a pilot has fewer kinds of documents than its batch. */
const [LOW, LIKELY, HIGH] = [0.03, 0.5, 0.97] as const;

/**
 * What is expected of a batch of so many documents with a promise or a budget, by a pilot of it. Its documents are drawn
 * again and again from those of the pilot (a bootstrap: Efron 1979), which are drawn again themselves each time, as they are
 * a sample, too; of each draw the threshold is found as the batch would find it.
 */
export function* estimatingAim(
  pilot: readonly JudgedPilot[],
  { rules, documents, key }: { readonly rules: CascadeRules; readonly documents: number; readonly key: string },
): Sliced<AimEstimate> {
  const { aim } = rules;
  if (aim === undefined) throw new Error('a cascade with fixed thresholds needs none to be found');
  const judging = judgingStages(rules);
  const plan = planAim(aim, judging.length, aim.kind === 'accuracy' ? 0 : documents);
  const sampled = plan.kind === 'sampled' ? plan.n : 0;
  const random = seededRandom(digestBits(key).high);
  const rounds: number[][] = [];
  let certified = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const all = drawAgain(pilot, random);
    const drawn = Array.from({ length: sampled }, () => pick(all, random));
    const found = calibrateCascade({ rules, population: documents, drawn });
    if (found.outcome === 'certified') certified += 1;
    const thresholds = found.stages.map(({ acceptAt }) => acceptAt);
    const isExpertOnly = found.expertOnly === true;
    const reach = reachOf(all, { judging, thresholds, isExpertOnly, stages: rules.stages.length });
    const share = sampled / Math.max(1, documents);
    rounds.push(reach.map((own) => share + (1 - share) * own));
    yield;
  }
  const reach = rules.stages.map((_, stage) => rangeOf(rounds.map((round) => round[stage] ?? 0)));
  return { sampled, reach, certified: aim.kind === 'budget' ? null : certified / ROUNDS };
}

type Deciding = {
  /** The stages that judge, and the thresholds of each of them. */
  readonly judging: readonly number[];
  readonly thresholds: readonly number[];
  readonly isExpertOnly: boolean;
  readonly stages: number;
};

/** By stage: the share of documents that come to it. */
function reachOf(all: readonly DrawnDocument[], { judging, thresholds, isExpertOnly, stages }: Deciding): number[] {
  const counts = Array.from({ length: stages }, () => 0);
  for (const { judged } of all) {
    const final = judging.findIndex((_, at) => (judged?.[at]?.confidence ?? -1) >= (thresholds[at] ?? Infinity));
    const last = final === -1 ? stages - 1 : (judging[final] ?? stages - 1);
    for (let stage = isExpertOnly ? stages - 1 : 0; stage <= last; stage += 1) counts[stage] = (counts[stage] ?? 0) + 1;
  }
  return counts.map((count) => count / Math.max(1, all.length));
}

/** As many documents as the pilot has, each drawn by what it stands for. */
function drawAgain(pilot: readonly JudgedPilot[], random: () => number): DrawnDocument[] {
  const sums: number[] = [];
  for (const { weight } of pilot) sums.push((sums.at(-1) ?? 0) + weight);
  const whole = sums.at(-1) ?? 0;
  return pilot.map((_, __, all) => {
    const at = random() * whole;
    const place = sums.findIndex((sum) => sum > at);
    return (all[place === -1 ? all.length - 1 : place] as JudgedPilot).drawn;
  });
}

const pick = (all: readonly DrawnDocument[], random: () => number): DrawnDocument =>
  all[Math.floor(random() * all.length)] ?? { judged: null, delivered: null };

function rangeOf(values: readonly number[]): Expected {
  const ordered = values.toSorted((left, right) => left - right);
  const at = (share: number): number => ordered[Math.round(share * (ordered.length - 1))] ?? 0;
  return { low: at(LOW), likely: at(LIKELY), high: at(HIGH) };
}
