/** One document that both models have answered. */
export interface Judged {
  /** exp of the mean log-prob of the drafter's tokens. */
  readonly confidence: number;
  readonly drafterRight: boolean;
  readonly expertRight: boolean;
}

export function shareOf<T>(items: readonly T[], holds: (item: T) => boolean): number {
  return items.filter(holds).length / items.length;
}

/** The probability that a right draft is surer than a wrong one; a tie counts half. */
export function areaUnderRoc(judged: readonly Judged[]): number {
  const sorted = [...judged].sort((one, other) => one.confidence - other.confidence);
  let wrongBelow = 0;
  let pairsWon = 0;
  for (let start = 0; start < sorted.length;) {
    let end = start;
    while (end < sorted.length && sorted[end]?.confidence === sorted[start]?.confidence) end++;
    const tied = sorted.slice(start, end);
    const right = tied.filter((document) => document.drafterRight).length;
    const wrong = tied.length - right;
    pairsWon += right * (wrongBelow + wrong / 2);
    wrongBelow += wrong;
    start = end;
  }
  return pairsWon / (wrongBelow * (judged.length - wrongBelow));
}

/** The mean gap between confidence and share of right drafts, over bins of equally many documents. */
export function calibrationError(judged: readonly Judged[], bins = 15): number {
  const sorted = [...judged].sort((one, other) => one.confidence - other.confidence);
  let gap = 0;
  for (let bin = 0; bin < bins; bin++) {
    const members = sorted.slice(
      Math.floor((bin * sorted.length) / bins),
      Math.floor(((bin + 1) * sorted.length) / bins),
    );
    const confidence = members.reduce((sum, document) => sum + document.confidence, 0);
    const right = members.filter((document) => document.drafterRight).length;
    gap += Math.abs(confidence - right);
  }
  return gap / sorted.length;
}

/** What a cascade gives that escalates every draft below `acceptAt`. */
export function cascadeAt(judged: readonly Judged[], acceptAt: number): { escalated: number; accuracy: number } {
  return {
    escalated: shareOf(judged, (document) => document.confidence < acceptAt),
    accuracy: shareOf(judged, (document) =>
      document.confidence < acceptAt ? document.expertRight : document.drafterRight,
    ),
  };
}

/** The confidence below which lies the given share of the documents. */
export function thresholdFor(judged: readonly Judged[], escalated: number): number {
  const sorted = judged.map((document) => document.confidence).sort((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(escalated * sorted.length))] ?? 1;
}
