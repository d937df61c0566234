import { audited, seededRandom, startAudit } from '@spillway/core';

/** When an audit alarms that may see 5 % disagree, at δ = .05. */
export type AuditFigure = {
  readonly situation: string;
  readonly runs: number;
  /** Audits from the change on until the alarm, in the median; null: most runs never alarm. */
  readonly median: number | null;
  /** Of the runs: those that alarm at all, or before the change. */
  readonly alarmed: number;
  readonly tooEarly: number;
};

const TERMS = { mayDisagree: 0.05, delta: 0.05 };

/** From `from` on the rate is `rate`; before it, `before`. */
type Situation = { readonly name: string; readonly before: number; readonly from: number; readonly rate: number };

const SITUATIONS: readonly (Situation & { readonly runs: number; readonly most: number })[] = [
  { name: '5 % all along', before: 0.05, from: 1, rate: 0.05, runs: 2_000, most: 20_000 },
  { name: '4 % all along', before: 0.04, from: 1, rate: 0.04, runs: 1_000, most: 20_000 },
  { name: '7 % from the first on', before: 0.07, from: 1, rate: 0.07, runs: 1_000, most: 20_000 },
  { name: '10 % from the first on', before: 0.1, from: 1, rate: 0.1, runs: 10_000, most: 20_000 },
  { name: '15 % from the first on', before: 0.15, from: 1, rate: 0.15, runs: 10_000, most: 20_000 },
  { name: '3 %, after 1,000 audits 10 %', before: 0.03, from: 1_001, rate: 0.1, runs: 2_000, most: 20_000 },
];

export function measureAudit(seed: number): AuditFigure[] {
  const random = seededRandom(seed);
  return SITUATIONS.map(({ name, runs, most, ...situation }) => {
    const alarms: number[] = [];
    for (let at = 0; at < runs; at += 1) alarms.push(alarmOf(situation, most, random));
    const delays = alarms.map((at) => at - situation.from + 1).toSorted((left, right) => left - right);
    const median = delays[Math.floor(runs / 2)] ?? Number.POSITIVE_INFINITY;
    return {
      situation: name,
      runs,
      median: Number.isFinite(median) ? median : null,
      alarmed: alarms.filter(Number.isFinite).length / runs,
      tooEarly: alarms.filter((at) => at < situation.from).length / runs,
    };
  });
}

function alarmOf({ before, from, rate }: Omit<Situation, 'name'>, most: number, random: () => number): number {
  let audit = startAudit();
  while (audit.audits < most) {
    audit = audited(TERMS, audit, random() >= (audit.audits + 1 < from ? before : rate));
    if (audit.alarmAt !== null) return audit.alarmAt;
  }
  return Number.POSITIVE_INFINITY;
}

export const auditTable = (figures: readonly AuditFigure[]): string =>
  `audits until the alarm where 5 % may disagree, δ 0.05; at most 20,000 audits a run\n` +
  `  ${'disagreements'.padEnd(30)}   runs   median   alarmed %   before the change %\n${figures
    .map(
      ({ situation, runs, median, alarmed, tooEarly }) =>
        `  ${situation.padEnd(30)} ${String(runs).padStart(6)} ${String(median ?? '–').padStart(8)} ` +
        `${(100 * alarmed).toFixed(1).padStart(10)} ${(100 * tooEarly).toFixed(1).padStart(15)}\n`,
    )
    .join('')}`;
